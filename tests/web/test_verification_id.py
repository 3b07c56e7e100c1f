"""The verification id: only the requester of a PIN can guess it or use up its guesses."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.support.running import Sandbox, Service, other_pin, refusal

NO = (401, "invalid_otp")


@pytest.fixture
def strict(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service, which demands the verification id."""
    return start(sandbox.url, REQUIRE_VERIFICATION_ID="true")


def sent(service: Service, phone: str) -> str:
    return str(service.send(phone).json()["verificationId"])


def verify(service: Service, phone: str, pin: str, verification_id: Any) -> tuple[int, str]:
    body = {"phoneNumber": phone, "pin": pin, "verificationId": verification_id}
    answer = service.post("/verify-otp", body)
    return (200, "") if answer.status_code == 200 else refusal(answer)


def test_it_is_random_and_not_the_pin_id(service: Service, database: redis.Redis, phone: str) -> None:
    given = []
    for _ in range(5):
        given.append(sent(service, phone))
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    kept = database.hgetall(f"otp:phoneNumber:{phone}")
    assert len(set(given)) == 5
    assert all(re.fullmatch("[A-Za-z0-9_-]{22}", each) for each in given)  # 22 digits of 6 bits: 128 and some
    assert given[-1] not in str(kept), "only its hash is kept"


def test_the_right_one_verifies_once(service: Service, sandbox: Sandbox, phone: str) -> None:
    verification_id = sent(service, phone)
    assert verify(service, phone, sandbox.pin(phone), verification_id) == (200, "")
    assert verify(service, phone, sandbox.pin(phone), verification_id) == NO


def test_without_it_a_pin_verifies_as_ever(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_a_wrong_one_costs_no_guess_and_reaches_no_infobip(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    verification_id = sent(service, phone)
    for other in ("", "x", verification_id[:-1], verification_id + "\n", verification_id.swapcase(), "é" * 500):
        assert verify(service, phone, sandbox.pin(phone), other) == NO
    assert sandbox.verifies() == 0
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "0"
    assert verify(service, phone, sandbox.pin(phone), verification_id) == (200, "")


def test_each_is_that_of_one_send(service: Service, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    older = sent(service, phone)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    newer = sent(service, phone)
    assert verify(service, phone, sandbox.pin(phone), older) == NO, "it is held against the older PIN"
    assert verify(service, phone, sandbox.pins(phone)[0], newer) == NO
    assert verify(service, phone, sandbox.pins(phone)[0], older) == (200, "")
    assert verify(service, phone, sandbox.pins(phone)[1], newer) == (200, "")


def test_the_one_of_another_phone_is_a_wrong_one(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    assert verify(service, phone, sandbox.pin(phone), sent(service, "+14155552671")) == NO
    assert sandbox.verifies() == 0


def test_the_right_one_gives_no_guesses_beyond_the_five(service: Service, sandbox: Sandbox, phone: str) -> None:
    verification_id = sent(service, phone)
    for _ in range(6):
        assert verify(service, phone, other_pin(sandbox.pin(phone)), verification_id) == NO
    assert verify(service, phone, sandbox.pin(phone), verification_id) == NO
    assert sandbox.verifies() == 5


@pytest.mark.parametrize("malformed", [1, True, 1.5, [], {}, ["x"]])
def test_what_is_no_string_is_no_request(service: Service, phone: str, malformed: Any) -> None:
    assert verify(service, phone, "123456", malformed) == (400, "invalid_request")


def test_where_it_is_demanded_a_number_alone_burns_nothing(strict: Service, sandbox: Sandbox, phone: str) -> None:
    """The refusal is that of any request without a member that it must have: it says nothing of the number."""
    verification_id = sent(strict, phone)
    for guess in (sandbox.pin(phone), other_pin(sandbox.pin(phone))) * 5:
        assert refusal(strict.verify(phone, guess)) == (400, "invalid_request")
        assert verify(strict, phone, guess, None) == (400, "invalid_request")
    never_sent = strict.verify("+14155552671", "123456")
    assert never_sent.content == strict.verify(phone, "123456").content
    assert sandbox.verifies() == 0
    assert verify(strict, phone, sandbox.pin(phone), verification_id) == (200, "")
