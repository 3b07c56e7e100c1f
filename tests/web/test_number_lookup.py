"""Number Lookup is off by default, is counted with its price, and reports a number that cannot be reached."""

from collections.abc import Callable

import pytest
import redis

from tests.support.running import Sandbox, Service, refusal
from tests.support.upstream import SENT, Upstream, answer

Start = Callable[..., Service]
UNREACHABLE = "+14155550101"
LOOKUP = {"NUMBER_LOOKUP": "on", "SMS_PRICES": '{"currency": "EUR", "default": 0.1}', "LOOKUP_PRICE": "0.01"}
LOOKUP |= {"DAILY_BUDGET": "0.25", "WEB_CONCURRENCY": "1"}


def test_an_unreachable_number_is_refused_and_its_lookup_is_counted(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, **LOOKUP)
    unreachable = service.send(UNREACHABLE)
    assert refusal(unreachable) == (400, "phone_number_unreachable")
    assert unreachable.headers["X-RateLimit-Remaining"] == str(int(unreachable.headers["X-RateLimit-Limit"]) - 1), (
        "paid"
    )
    service.log_with(unreachable)
    (line,) = service.lines(event="request", outcome="unreachable")
    assert line["reason"] == "MESSAGE_NOT_SENT"
    assert refusal(service.send(UNREACHABLE)) == (429, "too_many_requests"), "it would be looked up again, for money"
    (day,) = database.keys("otp:spent:*")
    assert database.hget(day, "spent") == "110000"
    assert service.send(phone).status_code == 200
    assert refusal(service.send("+4915112345678")) == (503, "budget_exhausted")


def test_without_the_lookup_a_send_to_an_unreachable_number_succeeds(
    start: Start, database: redis.Redis, sandbox: Sandbox
) -> None:
    assert start(sandbox.url).send(UNREACHABLE).status_code == 200
    assert sandbox.messages == []


@pytest.mark.parametrize(
    ("status", "sms_status", "expected"),
    [
        ("NC_DESTINATION_NOT_REACHABLE", "MESSAGE_NOT_SENT", (400, "phone_number_unreachable")),
        ("NC_NOT_REACHABLE", "MESSAGE_NOT_SENT", (400, "phone_number_unreachable")),
        ("NC_DESTINATION_REACHABLE", "MESSAGE_NOT_SENT", (502, "provider_error")),
        ("NC_DESTINATION_NOT_REACHABLE", "SOMETHING", (502, "provider_error")),
        ({}, "MESSAGE_NOT_SENT", (502, "provider_error")),
        ([], "MESSAGE_NOT_SENT", (502, "provider_error")),
    ],
)
def test_which_statuses_mean_unreachable(
    start: Start,
    database: redis.Redis,
    upstream: Upstream,
    phone: str,
    status: object,
    sms_status: str,
    expected: object,
) -> None:
    service = start(upstream.url, NUMBER_LOOKUP="on", WEB_CONCURRENCY="1")
    upstream.script.append(answer({**SENT, "ncStatus": status, "smsStatus": sms_status}))
    assert refusal(service.send(phone)) == expected
    assert [path for path, _, _ in upstream.requests] == ["/2fa/2/pin?ncNeeded=true"]


def test_a_message_that_was_sent_counts_as_sent(
    start: Start, database: redis.Redis, upstream: Upstream, phone: str
) -> None:
    service = start(upstream.url, NUMBER_LOOKUP="on", WEB_CONCURRENCY="1")
    upstream.script.append(answer({**SENT, "ncStatus": "NC_DESTINATION_NOT_REACHABLE"}))
    assert service.send(phone).status_code == 200
    service.post("/send-otp", {"phoneNumber": UNREACHABLE, "channel": "voice"})
    assert upstream.requests[-1][0] == "/2fa/2/pin/voice", "calls have no lookup"
