"""Client apps send and verify PINs over HTTP."""

import re
from collections.abc import Callable

import pytest
import redis
import requests

from sandbox.model import Configuration
from tests.support.running import Sandbox, Service, other_pin, refusal


def test_a_pin_that_was_sent_verifies_once(service: Service, sandbox: Sandbox, phone: str) -> None:
    sent = service.send(phone)
    body = sent.json()
    assert re.fullmatch("[A-Za-z0-9_-]{22}", body.pop("verificationId"))
    times = {"expiresIn": 600, "resendIn": 30}
    assert (sent.status_code, body) == (
        200,
        {"message": "OTP sent successfully.", **times, "channels": ["sms", "voice"]},
    )
    verified = service.verify(phone, sandbox.pin(phone))
    assert (verified.status_code, verified.json()) == (200, {"message": "OTP verified successfully."})
    assert refusal(service.verify(phone, sandbox.pin(phone))) == (401, "invalid_otp")


def test_the_guides_own_example_numbers_work(service: Service, sandbox: Sandbox) -> None:
    for number in ("+14155552671", "+442071838750"):
        assert service.send(number).status_code == 200
        assert service.verify(number, sandbox.pin(number)).status_code == 200


def test_however_a_number_is_written_it_is_one_number(service: Service, sandbox: Sandbox) -> None:
    assert service.send("+1 (415) 555-2671").status_code == 200
    assert refusal(service.send("+1.415.555.2671")) == (429, "too_many_requests")
    assert service.verify("+14155552671", sandbox.pin("+14155552671")).status_code == 200


def test_every_refused_verify_looks_the_same(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    """No refusal shows whether a PIN is wrong, used up, superseded, used, expired, never sent or of another request."""
    service = start(sandbox.url, RESEND_COOLDOWN="1s", INFOBIP_TIMEOUT="999ms")
    other = {"phoneNumber": phone, "pin": "000000", "verificationId": "q4nB0tW7xkR2yV9cE1sLuA"}
    answers = [service.verify(phone, "000000"), service.post("/verify-otp", other)]  # never sent
    service.send(phone)
    first = sandbox.pin(phone)
    answers += [service.post("/verify-otp", {**other, "pin": first})]  # the right PIN, but the id of another request
    answers += [service.verify(phone, other_pin(first)) for _ in range(6)]  # wrong five times, then out of guesses
    answers += [service.verify(phone, first)]
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    service.send(phone)
    answers += [service.verify(phone, first)] if first != sandbox.pin(phone) else []  # superseded
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
    answers += [service.verify(phone, sandbox.pin(phone))]  # used
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    service.send(phone)
    sandbox.clock.ahead += 601
    answers += [service.verify(phone, sandbox.pin(phone))]  # expired at Infobip
    database.delete(f"otp:phoneNumber:{phone}")
    answers += [service.verify(phone, sandbox.pin(phone))]  # expired here

    changing = ("X-Request-ID", "Date", "RateLimit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    seen = {(a.status_code, a.content, str({k: v for k, v in a.headers.items() if k not in changing})) for a in answers}
    assert len(seen) == 1
    assert answers[0].json() == {"error": "Invalid or expired OTP.", "code": "invalid_otp"}
    assert answers[0].status_code == 401


def test_a_pin_has_five_guesses_and_the_fifth_may_be_right(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    for _ in range(4):
        assert service.verify(phone, other_pin(sandbox.pin(phone))).status_code == 401
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_the_sixth_guess_never_reaches_infobip(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    for _ in range(5):
        service.verify(phone, other_pin(sandbox.pin(phone)))
    assert refusal(service.verify(phone, sandbox.pin(phone))) == (401, "invalid_otp")
    assert sandbox.verifies() == 5


def test_the_retry_after_of_a_cooldown_is_true(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url)
    service.send(phone)
    refused = service.send(phone)
    assert refusal(refused) == (429, "too_many_requests")
    left = database.pttl(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert left / 1000 <= int(refused.headers["Retry-After"]) <= 30
    assert len(sandbox.pins(phone)) == 1
    assert "X-RateLimit-Remaining" in refused.headers
    database.pexpire(f"{{otp:phoneNumber:{phone}}}:cooldown", 1)
    while database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown"):
        pass  # a request may take less than that millisecond
    assert service.send(phone).status_code == 200


def test_a_pin_lives_here_no_longer_than_at_infobip(service: Service, database: redis.Redis, phone: str) -> None:
    service.send(phone)
    assert 595_000 < database.pttl(f"otp:phoneNumber:{phone}") < 600_000
    assert set(database.hgetall(f"otp:phoneNumber:{phone}")) == {
        "pinId",
        "attempts",
        "verification",
        "requester",
        "order",
        "ends",
    }


def test_pins_may_have_other_lengths_and_alphabets(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    sandbox.reset(pin_length=4, pin_type="ALPHANUMERIC")
    service = start(sandbox.url, PIN_LENGTH="4", PIN_TYPE="ALPHANUMERIC")
    service.send(phone)
    assert refusal(service.verify(phone, "123456")) == (400, "invalid_pin_format")
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_infobips_throttle_on_verifying_costs_no_guess(service: Service, sandbox: Sandbox, phone: str) -> None:
    """By default, Infobip allows one verify in three seconds for one number."""
    sandbox.reset(Configuration(verify_pin_limit="1/3s"))
    service.send(phone)
    assert service.verify(phone, other_pin(sandbox.pin(phone))).status_code == 401
    for _ in range(10):
        assert refusal(service.verify(phone, sandbox.pin(phone))) == (429, "too_many_requests")
    sandbox.clock.ahead += 3
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_the_small_endpoints_respond(service: Service) -> None:
    index = requests.get(f"{service.url}/", timeout=5)
    assert (index.status_code, index.text) == (200, "Infobip OTP Service Running!")
    assert requests.get(f"{service.url}/healthz", timeout=5).status_code == 200
    assert requests.get(f"{service.url}/readyz", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"), [("abcd-1234_x.Y", True), ("short", False), ("a" * 65, False), ("a b c d e", False)]
)
def test_a_valid_request_id_of_the_caller_is_kept(service: Service, phone: str, given: str, kept: bool) -> None:
    request_id = service.verify(phone, "000000", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert (request_id == given) is kept
    assert kept or re.fullmatch("[0-9a-f]{32}", request_id)
