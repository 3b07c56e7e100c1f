"""Infobip's delivery reports: when the service requests them, and what it does with the first one of each message."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
import requests

from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.measured import Measured, metrics_port
from tests.support.receiver import until
from tests.support.running import Sandbox, Service, refusal
from tests.support.upstream import SENT, Upstream, answer

Start = Callable[..., Service]
Json = dict[str, Any]
SECRET = "reports-secret-0123456789"
REPORTS = "/infobip/delivery-reports"
NO_SMS = "+14155550109"
UNAUTHORIZED, TOO_MANY = (401, "unauthorized"), (429, "too_many_requests")
TRACKED = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": SECRET}


@pytest.fixture
def tracked(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service, and a sandbox that posts a delivery report of each message to it."""
    service = start(sandbox.url, INFOBIP_2FA_EMAIL_MSG_ID=EMAIL_MESSAGE_ID, METRICS_PORT=str(metrics_port()), **TRACKED)
    sandbox.reports_url = f"{service.url}{REPORTS}/{SECRET}"
    sandbox.reset()
    return service


@pytest.fixture
def silent(tracked: Service, sandbox: Sandbox) -> Service:
    """The same service with a sandbox that posts no reports: the tests post them."""
    sandbox.reports_url = None
    sandbox.reset()
    return tracked


def counted(service: Service, **labels: str) -> float:
    return Measured(service, metrics_port()).value("otp_deliveries_total", **labels)


def message_of(database: redis.Redis, known: str = "") -> str:
    """Return the id of the only message in Redis other than `known`."""
    ids: list[str] = []

    def is_there() -> bool:
        ids[:] = [key.removeprefix("otp:message:") for key in database.scan_iter("otp:message:*")]
        return bool({*ids} - {known})

    until(is_there)
    (message_id,) = {*ids} - {known}
    return message_id


def result(message_id: str, phone: str, group: str = "UNDELIVERABLE", **more: Any) -> Json:
    return {"messageId": message_id, "to": phone.removeprefix("+"), "status": {"groupName": group}, **more}


def report(service: Service, *results: Any, headers: dict[str, str] | None = None) -> requests.Response:
    bearer = {"Authorization": f"Bearer {SECRET}"}
    return service.post(REPORTS, {"results": [*results]}, headers=bearer if headers is None else headers)


def send(service: Service, database: redis.Redis, phone: str, known: str = "") -> str:
    assert service.send(phone).status_code == 200
    return message_of(database, known)


def test_a_call_may_follow_a_failed_sms_at_once(tracked: Service, sandbox: Sandbox, database: redis.Redis) -> None:
    before = counted(tracked, channel="sms", country="US", status="undeliverable")
    assert tracked.send(NO_SMS).status_code == 200
    assert refusal(tracked.send(NO_SMS)) == TOO_MANY, "it is not known yet"
    until(lambda: not database.exists(f"{{otp:phoneNumber:{NO_SMS}}}:cooldown"))
    assert tracked.post("/resend-otp", {"phoneNumber": NO_SMS, "channel": "voice"}).status_code == 200
    assert tracked.verify(NO_SMS, sandbox.pin(NO_SMS)).status_code == 200
    assert counted(tracked, channel="sms", country="US", status="undeliverable") == before + 1
    until(lambda: counted(tracked, channel="voice", country="US", status="delivered") >= 1)
    assert len(database.lrange(f"{{otp:phoneNumber:{NO_SMS}}}:sent", 0, -1)) == 2, "it cost money, and counts"


def test_the_log_names_the_send_whose_message_did_not_arrive(tracked: Service, database: redis.Redis) -> None:
    sent = tracked.send(NO_SMS, headers={"X-Request-ID": "checkout-4711"})
    until(lambda: tracked.lines(event="not_delivered", sent_by="checkout-4711"))
    (line,) = tracked.lines(event="not_delivered", sent_by="checkout-4711")
    assert line["delivery_id"] == message_of(database)
    assert (line["channel"], line["country"], line["status"]) == ("sms", "US", "UNDELIVERABLE")
    assert line["error"] == "EC_ABSENT_SUBSCRIBER"
    assert SECRET not in tracked.log_with(sent)


def test_a_delivered_message_keeps_its_cooldown(tracked: Service, database: redis.Redis, phone: str) -> None:
    before = counted(tracked, channel="sms", country="DE", status="delivered")
    message = send(tracked, database, phone)
    until(lambda: database.hget(f"otp:message:{message}", "outcome") == "DELIVERED")
    assert refusal(tracked.send(phone)) == TOO_MANY
    assert counted(tracked, channel="sms", country="DE", status="delivered") == before + 1
    assert 4190 < database.ttl(f"otp:message:{message}") <= 4200, "an hour longer than the PIN"
    assert not [key for key in database.scan_iter("otp:verification:*")], "nobody could ask for it"


@pytest.mark.parametrize("group", ["UNDELIVERABLE", "EXPIRED", "REJECTED"])
def test_each_kind_of_failure_ends_the_cooldown(silent: Service, database: redis.Redis, phone: str, group: str) -> None:
    before = counted(silent, country="DE", status=group.lower())
    message = send(silent, database, phone)
    assert report(silent, result(message, phone, group)).json() == {"message": "Delivery reports received."}
    assert counted(silent, country="DE", status=group.lower()) == before + 1
    assert silent.send(phone).status_code == 200


def test_a_message_on_its_way_may_still_fail(silent: Service, database: redis.Redis, phone: str) -> None:
    before = counted(silent)
    message = send(silent, database, phone)
    for group in ("PENDING", "ACCEPTED", "failed", "", "X" * 1000):
        assert report(silent, result(message, phone, group)).status_code == 200
    assert counted(silent) == before
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")
    report(silent, result(message, phone))
    assert not database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_the_first_report_decides_and_counts_once(silent: Service, database: redis.Redis, phone: str) -> None:
    before = counted(silent)
    message = send(silent, database, phone)
    for group in ("DELIVERED", "DELIVERED", "UNDELIVERABLE"):
        assert report(silent, result(message, phone, group)).status_code == 200
    assert counted(silent) == before + 1
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_a_report_of_an_old_message_ends_no_new_cooldown(silent: Service, database: redis.Redis, phone: str) -> None:
    """Neither its first report nor a repeated one does, whichever number the report names."""
    first = send(silent, database, phone)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    second = send(silent, database, phone, first)
    report(silent, result(first, phone), result(first, phone), result(second, "+4915110000001"), result(second, "x"))
    assert refusal(silent.send(phone)) == TOO_MANY
    third = "+4915110000002"
    send_third = silent.send(third)
    report(silent, result(second, third))
    assert send_third.status_code == 200
    assert refusal(silent.send(third)) == TOO_MANY


def test_one_request_may_have_several_reports(silent: Service, database: redis.Redis) -> None:
    """An invalid report does not affect the others."""
    phones = [f"+4915120{n:06}" for n in range(12)]
    messages: list[str] = []
    for phone in phones:
        assert silent.send(phone).status_code == 200
        until(lambda: len(list(database.scan_iter("otp:message:*"))) == len(messages) + 1)  # noqa: B023
        messages += {key.removeprefix("otp:message:") for key in database.scan_iter("otp:message:*")} - {*messages}
    failed = [result(message, phone) for message, phone in zip(messages, phones, strict=True)]
    strange: list[Any] = [None, 5, "x", [], {}, {"messageId": 5}, {**failed[0], "status": "DELIVERED"}]
    strange += [{**failed[0], "messageId": id} for id in ("", "a b", "../x", "x" * 65, None, "*", "ä")]
    strange += [{**failed[0], "status": {"groupName": each}} for each in (None, 3, ["DELIVERED"])]
    unknown = result("0b5dd5f3-6a1c-4c5b-9d6e-6c7c8f1e2a34", phones[0], "DELIVERED")
    assert report(silent, *strange, unknown, *failed[:6], *strange, *failed[6:]).status_code == 200
    assert not [key for key in database.scan_iter("*:cooldown")]
    assert not silent.lines(event="bug")


@pytest.mark.parametrize(
    "more",
    [
        {"to": None, "doneAt": None, "error": None, "price": None},
        {"to": 4915110000000, "doneAt": 1767225600, "error": "EC_UNKNOWN"},
        {"to": "x" * 10000, "doneAt": "9999-99-99", "error": {"name": "a\nb"}},
        {"to": "", "doneAt": "٢٠٢٦-01-01T00:00:00.000+0000", "error": {"name": 5}},
        {"to": ["+4915110000000"], "doneAt": "0001-01-01T00:00:00.000+2359", "error": {"name": "X" * 65}},
        {"doneAt": "9999-12-31T23:59:59.999-2359", "error": []},
    ],
)
def test_the_other_members_of_a_report_may_have_any_value(
    silent: Service, database: redis.Redis, phone: str, more: Json
) -> None:
    before = counted(silent, status="rejected")
    message = send(silent, database, phone)
    assert report(silent, {**result(message, phone, "REJECTED"), **more}).status_code == 200
    assert counted(silent, status="rejected") == before + 1
    assert not silent.lines(event="bug")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}", f"Basic {SECRET}", SECRET, "Bearer \xe9\xe9"],
    ids=ascii,
)
def test_a_wrong_secret_is_refused(silent: Service, database: redis.Redis, phone: str, authorization: str) -> None:
    message = send(silent, database, phone)
    failed = {"results": [result(message, phone)]}
    header = {"Authorization": authorization.encode("latin-1")}
    refused = [silent.post(REPORTS, failed, headers=header), silent.post(REPORTS, None, headers=header)]
    refused += [silent.post(f"{REPORTS}/{path}", failed) for path in (f"{SECRET}x", SECRET[:-1], "%00", "Bearer")]
    # A wrong secret in the path is refused although the header has the right one.
    refused.append(silent.post(f"{REPORTS}/wrong-0123456789", failed, headers={"Authorization": f"Bearer {SECRET}"}))
    assert {refusal(each) for each in refused} == {UNAUTHORIZED}
    assert {each.headers["WWW-Authenticate"] for each in refused} == {"Bearer"}
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert "outcome" not in database.hgetall(f"otp:message:{message}")


def test_the_secret_may_be_in_the_path_and_is_never_logged(silent: Service, database: redis.Redis, phone: str) -> None:
    message = send(silent, database, phone)
    path = f"{REPORTS}/{SECRET}"
    taken = silent.post(path, {"results": [result(message, phone)]})
    assert taken.status_code == 200
    assert not database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")
    wrong = [silent.post(path), silent.post(f"{path}/x", {}), requests.get(silent.url + path, timeout=5)]
    assert [each.status_code for each in wrong] == [415, 404, 405]
    assert "secret-0123456789" not in silent.log_with(taken, *wrong) + Measured(silent, metrics_port()).text()
    (line,) = silent.lines(event="request", request_id=taken.headers["X-Request-ID"])
    assert line["route"] == f"{REPORTS}/<secret>"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"results": {}}', 400),
        (b'{"results": null}', 400),
        (b'{"results": [], "results": []}', 400),
        (b'{"results": [NaN]}', 400),
        (b'{"results": ["\\ud800"]}', 400),
        (b'{"results": [' + b"[" * 100_000, 400),
        (b'{"results": [' + b"[" * 8000 + b"]" * 8000 + b"]}", 400),
        (b"\xff\xfe", 400),
        (b'{"results": []}', 200),
        (b'{"results": [], "more": 1}', 200),
        (b'{"results": ["' + b"x" * (256 * 1024 - 17) + b'"]}', 200),
        (b'{"results": ["' + b"x" * (256 * 1024 - 16) + b'"]}', 413),
    ],
    ids=lambda value: str(value)[:24],
)
def test_the_status_depends_on_the_body(silent: Service, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    assert silent.post(REPORTS, data=body, headers=headers).status_code == status


@pytest.mark.parametrize("given", [None, 5, "", "a b", "../x", "x" * 65, ["a"], {"a": 1}, "ü", "a\n"], ids=repr)
def test_an_invalid_message_id_does_not_lose_the_pin(
    start: Start, upstream: Upstream, database: redis.Redis, phone: str, given: Any
) -> None:
    service = start(upstream.url, **TRACKED)
    upstream.script += [answer(SENT if given is None else {**SENT, "externalMessageId": given})]
    sent = service.send(phone)
    assert sent.status_code == 200
    assert upstream.requests[-1][2]["trackDelivery"] is True
    service.log_with(sent)
    assert service.lines(event="no_delivery_id", request_id=sent.headers["X-Request-ID"])
    assert service.verify(phone, "123456").status_code == 200
    assert not list(database.scan_iter("otp:message:*"))


def test_only_channels_with_delivery_reports_are_tracked(
    start: Start, upstream: Upstream, database: redis.Redis, phone: str, email: str
) -> None:
    service = start(upstream.url, INFOBIP_2FA_EMAIL_MSG_ID=EMAIL_MESSAGE_ID, **TRACKED)
    voice = {"callStatus": "PENDING_ACCEPTED", "externalMessageId": "call-1"}
    upstream.script += [
        answer({**SENT, "externalMessageId": "sms_1"}),
        answer({**SENT, **voice}),
        answer({**SENT, "emailStatus": {"name": "PENDING_ACCEPTED"}, "externalMessageId": "email-1"}),
    ]
    assert service.send(phone).status_code == 200
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert service.post("/resend-otp", {"phoneNumber": phone, "channel": "voice"}).status_code == 200
    assert service.post("/send-otp", {"email": email}).status_code == 200
    assert [payload.get("trackDelivery") for _, _, payload in upstream.requests] == [True, True, None]
    until(lambda: {*database.scan_iter("otp:message:*")} == {"otp:message:sms_1", "otp:message:call-1"})
    assert not service.lines(event="no_delivery_id")


def test_nothing_is_tracked_without_the_setting(
    start: Start, upstream: Upstream, database: redis.Redis, phone: str
) -> None:
    service = start(upstream.url, DELIVERY_REPORTS_SECRET=SECRET)
    upstream.script.append(answer({**SENT, "externalMessageId": "sms_2"}))
    assert service.send(phone).status_code == 200
    assert "trackDelivery" not in json.dumps(upstream.requests)
    assert refusal(report(service)) == refusal(service.post(f"{REPORTS}/{SECRET}")) == (404, "not_found")
    assert not list(database.scan_iter("otp:message:*"))


@pytest.fixture
def priced(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with prices and delivery reports, which the tests post instead of the sandbox."""
    sandbox.reports_url = None
    sandbox.reset()
    prices = {"SMS_PRICES": '{"currency": "EUR", "default": 0.1}', "SMS_SEGMENTS": "2"}
    return start(sandbox.url, METRICS_PORT=str(metrics_port("priced")), **prices, **TRACKED)


def charged(service: Service) -> float:
    labels = {"channel": "sms", "country": "DE", "currency": "EUR"}
    return Measured(service, metrics_port("priced")).value("otp_charged_total", **labels)


def price(each: Any, currency: Any = "EUR", count: Any = 1) -> Json:
    return {"price": {"pricePerMessage": each, "currency": currency}, "messageCount": count}


def test_the_price_of_a_message_is_counted_once(priced: Service, database: redis.Redis, phone: str) -> None:
    """A repeated report, or one of a message that was never sent, adds nothing."""
    before = charged(priced)
    message = send(priced, database, phone)
    dear = price(0.5, count=3)
    report(priced, result("0b5dd5f3", phone, **dear))
    report(priced, result(message, phone, "DELIVERED", **price(0.11, count=2)))
    report(priced, result(message, phone, **dear), result(message, phone, **dear))
    assert charged(priced) == pytest.approx(before + 0.22)
    assert not database.exists("otp:alert:prices.differ:sms:DE"), "a tenth more is not clearly more"


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (price(0.07, count=4), "Infobip charged 0.28 EUR for a message (sms, DE), and 0.20 EUR is counted"),
        ({**price(0.07, count=None), "smsCount": 4}, "Infobip charged 0.28 EUR for a message (sms, DE)"),
        (price(0.01, "USD"), "Infobip charged 0.01 USD for a message (sms, DE), and 0.20 EUR is counted"),
    ],
    ids=["more", "with the older name", "another currency"],
)
def test_a_price_that_differs_clearly_raises_an_alert(
    priced: Service, database: redis.Redis, phone: str, members: Json, sentence: str
) -> None:
    database.delete("otp:alert:prices.differ:sms:DE")
    earlier = len(priced.lines(logger="otp.alerts"))
    message = send(priced, database, phone)
    report(priced, result(message, phone, "DELIVERED", **members))
    until(lambda: any(sentence in line["event"] for line in priced.lines(logger="otp.alerts")[earlier:]))
    assert 86300 < database.ttl("otp:alert:prices.differ:sms:DE") <= 86400


@pytest.mark.parametrize(
    "members",
    [
        *[price(each) for each in (-1, 100.1, 10**400, "0.5", True, None)],
        *[price(0.5, currency) for currency in ("eur", "EURO", "EUR\n", "", None, 5)],
        {"price": None},
        {"price": 0.5},
    ],
)
def test_an_invalid_price_is_not_counted(priced: Service, database: redis.Redis, phone: str, members: Json) -> None:
    at = Measured(priced, metrics_port("priced"))
    before, delivered = at.value("otp_charged_total"), at.value("otp_deliveries_total", status="delivered")
    message = send(priced, database, phone)
    report(priced, result(message, phone, "DELIVERED", **members))
    assert at.value("otp_deliveries_total", status="delivered") == delivered + 1
    assert at.value("otp_charged_total") == before


def test_an_invalid_number_of_sms_counts_as_one(priced: Service, database: redis.Redis, phone: str) -> None:
    before = charged(priced)
    for n, count in enumerate((0, -2, 21, 1.5, "3", True)):
        message = send(priced, database, f"+4915190{n:06}")
        report(priced, result(message, phone, "DELIVERED", **price(0.1, count=count)))
        database.delete(f"otp:message:{message}")
    assert charged(priced) == pytest.approx(before + 0.6)
