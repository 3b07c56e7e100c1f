"""With UNIFORM_VERIFY_TIME, the time that a refusal takes does not reveal whether there was a PIN."""

import time
from collections.abc import Callable
from threading import Thread

import pytest
import redis
import requests

from otp.response_padding import JITTER, START
from tests.support.command import eventually
from tests.support.running import Service, refusal
from tests.support.upstream import WRONG, Act, Upstream, answer

Start = Callable[..., Service]
DELAY = 0.6  # seconds, longer than a worker assumes before its first call
LONG = 2.0  # seconds, enough for a busy machine to respond to another request
NO = (401, "invalid_otp")
SETTINGS = {"RESEND_COOLDOWN": "20s", "WEB_CONCURRENCY": "1"}


@pytest.fixture
def uniform(start: Start, database: redis.Redis, upstream: Upstream) -> Service:
    """The service with UNIFORM_VERIFY_TIME and one worker, so that there is one average."""
    return start(upstream.url, INFOBIP_TIMEOUT="2s", UNIFORM_VERIFY_TIME="true", **SETTINGS)


def slow(act: Act, seconds: float = DELAY) -> Act:
    def later(connection: object) -> None:
        time.sleep(seconds)
        act(connection)  # type: ignore[arg-type]

    return later


def send_and_verify(service: Service, upstream: Upstream, phone: str, *acts: Act) -> list[requests.Response]:
    """Send a PIN to `phone` and verify it once for each of the acts, with which Infobip responds."""
    assert service.send(phone).status_code == 200
    upstream.script.extend(acts)
    return [service.verify(phone, "123456") for _ in acts]


def seconds_of(verify: Callable[[], requests.Response]) -> float:
    started = time.monotonic()
    assert refusal(verify()) == NO
    return time.monotonic() - started


def test_a_refusal_without_infobip_takes_as_long_as_infobip_does(
    uniform: Service, upstream: Upstream, phone: str
) -> None:
    """No PIN was sent, no guess is left, or the id is wrong. The average follows Infobip's response times."""
    service = uniform
    assert seconds_of(lambda: service.verify("+14155552671", "123456")) >= START * (1 - JITTER), "before any call"
    send_and_verify(service, upstream, phone, *[slow(answer(WRONG))] * 5)
    least = DELAY * (1 - JITTER)
    other = {"phoneNumber": phone, "pin": "123456", "verificationId": "another"}
    request_count = len(upstream.requests)
    assert seconds_of(lambda: service.verify("+14155552671", "123456")) >= least
    assert seconds_of(lambda: service.verify(phone, "123456")) >= least
    assert seconds_of(lambda: service.post("/verify-otp", other)) >= least
    assert len(upstream.requests) == request_count


def test_other_requests_are_served_during_the_delay(
    start: Start, database: redis.Redis, upstream: Upstream, phone: str
) -> None:
    service = start(upstream.url, INFOBIP_TIMEOUT="5s", UNIFORM_VERIFY_TIME="true", **SETTINGS)
    send_and_verify(service, upstream, phone, slow(answer(WRONG), LONG))
    (counted,) = database.scan_iter("otp:LIMITS:*verify_otp*")
    ended: list[str] = []

    def refused() -> None:
        service.verify("+14155552671", "123456")
        ended.append("refused")

    delayed = Thread(target=refused)
    delayed.start()
    eventually(lambda: database.llen(counted) == 2)  # the request has arrived
    requests.get(f"{service.url}/healthz", headers={"Connection": "close"}, timeout=5)
    ended.append("served")
    delayed.join()
    assert ended == ["served", "refused"]


def test_without_the_setting_a_refusal_is_not_delayed(
    start: Start, database: redis.Redis, upstream: Upstream, phone: str
) -> None:
    service = start(upstream.url, INFOBIP_TIMEOUT="5s", **SETTINGS)
    send_and_verify(service, upstream, phone, slow(answer(WRONG), LONG))
    refused = service.verify("+14155552671", "123456")
    assert refusal(refused) == NO
    assert refused.elapsed.total_seconds() < LONG * (1 - JITTER)
