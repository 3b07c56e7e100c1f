"""A test number has a fixed code and gets no message; all other rules apply to it, too."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import jwt
import pytest
import redis

from otp.errors import PinGone
from otp.fixed_codes import FixedCodes, end_of
from otp.ports import SentPin
from otp.recipients import Recipient
from otp.send_request import SendRequest
from tests.support.measured import Measured, metrics_port
from tests.support.running import Sandbox, Service, refusal
from tests.support.signing import SETTINGS

REVIEWER, CODE = "+14155550199", "493826"
TODAY = datetime.now(UTC).date()
TEST_NUMBERS = {"TEST_NUMBERS": json.dumps({REVIEWER: CODE}), "TEST_NUMBERS_UNTIL": f"{TODAY + timedelta(days=2)}"}


@pytest.fixture
def service(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with one test number and three guesses per PIN."""
    return start(sandbox.url, **SETTINGS, **TEST_NUMBERS, PIN_ATTEMPTS="3")


def claims(proof: str) -> dict[str, object]:
    return dict(jwt.decode(proof, options={"verify_signature": False}))


def test_a_test_number_is_verified_without_a_message(service: Service, sandbox: Sandbox) -> None:
    sent = service.send(REVIEWER)
    assert (sent.status_code, sent.json()["expiresIn"]) == (200, 600)
    assert refusal(service.verify(REVIEWER, "493818")) == (401, "invalid_otp")
    verified = service.verify(REVIEWER, CODE)
    assert claims(verified.json()["proof"])["test"] is True
    redeemed = service.post("/proofs/redeem", {"proof": verified.json()["proof"]}).json()
    assert (redeemed["phoneNumber"], redeemed["test"]) == (REVIEWER, True)
    assert refusal(service.verify(REVIEWER, CODE)) == (401, "invalid_otp"), "a PIN is used once"
    assert sandbox.request_count() == 0
    log = service.log_with(sent, verified)
    assert '"test": true' in log
    assert CODE not in log
    assert REVIEWER not in service.log()
    assert "TEST_NUMBERS has 1 number with fixed codes" in service.log()


def test_requests_for_a_test_number_are_counted(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    """The test has its own service, because requests of another test may be counted only after that test."""
    port = metrics_port("counted fixed codes")
    service = start(sandbox.url, **SETTINGS, **TEST_NUMBERS, METRICS_PORT=str(port))

    def counted(operation: str) -> float:
        return Measured(service, port).value("otp_test_numbers_total", operation=operation)

    service.send(phone)
    service.log_with(service.send(REVIEWER), *(service.verify(REVIEWER, "000000") for _ in range(2)))
    assert (counted("send"), counted("verify")) == (1, 2)


def test_the_rules_apply_to_a_test_number(service: Service, sandbox: Sandbox, database: redis.Redis) -> None:
    service.send(REVIEWER)
    assert refusal(service.send(REVIEWER)) == (429, "too_many_requests"), "the cooldown"
    database.delete(*database.keys("*:cooldown"))
    assert service.post("/resend-otp", {"phoneNumber": REVIEWER}).status_code == 200
    assert [service.verify(REVIEWER, "000000").status_code for _ in range(3)] == [401] * 3
    assert refusal(service.verify(REVIEWER, CODE)) == (401, "invalid_otp"), "the guesses are used up"
    assert sandbox.request_count() == 0


def test_other_numbers_get_a_message(service: Service, sandbox: Sandbox, phone: str) -> None:
    sent = service.send(phone)
    assert refusal(service.verify(phone, CODE)) == (401, "invalid_otp")
    verified = service.verify(phone, sandbox.pin(phone))
    assert "test" not in claims(verified.json()["proof"])
    service.log_with(sent, verified)
    lines = service.lines(event="request", country="DE")
    assert lines
    assert not [line for line in lines if "test" in line]


def test_after_the_date_the_service_starts_and_sends(
    start: Callable[..., Service], sandbox: Sandbox, database: redis.Redis
) -> None:
    service = start(sandbox.url, **{**TEST_NUMBERS, "TEST_NUMBERS_UNTIL": "2026-01-31"}, WEB_CONCURRENCY="1")
    service.send(REVIEWER)
    assert refusal(service.verify(REVIEWER, CODE)) == (401, "invalid_otp")
    assert service.verify(REVIEWER, sandbox.pin(REVIEWER)).status_code == 200
    assert "TEST_NUMBERS_UNTIL is over" in service.log()


class Real:
    """A provider that gives every PIN the pinId REAL."""

    def send_pin(self, send_request: SendRequest) -> SentPin:
        return SentPin("REAL")

    def resend_pin(self, pin_id: str, send_request: SendRequest) -> SentPin:
        return SentPin("REAL")

    def verify_pin(self, pin_id: str, pin: str) -> bool:
        return pin_id == "REAL"


def test_fixed_codes_end_while_the_service_runs() -> None:
    now = until = end_of(date(2027, 2, 1))
    assert until == pytest.approx(datetime(2027, 2, 2, tzinfo=UTC).timestamp(), abs=0.001)
    provider = FixedCodes(Real(), {REVIEWER: CODE}, until, str, pause=lambda: None, clock=lambda: now)
    to_reviewer = SendRequest(Recipient.at(REVIEWER))
    now = until - 1
    before = provider.send_pin(to_reviewer).pin_id
    assert before != "REAL"
    assert provider.resend_pin(before, to_reviewer) == SentPin(before)
    assert provider.verify_pin(before, CODE)
    assert not provider.verify_pin(before, "493818")
    now = until
    for late in (lambda: provider.verify_pin(before, CODE), lambda: provider.resend_pin(before, to_reviewer)):
        with pytest.raises(PinGone):
            late()
    assert provider.send_pin(to_reviewer) == SentPin("REAL")
