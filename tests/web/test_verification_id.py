"""With verification ids, only the requester of a PIN can guess it or use up its guesses."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.support.running import Sandbox, Service, other_pin, refusal

NO = (401, "invalid_otp")


@pytest.fixture
def strict(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with REQUIRE_VERIFICATION_ID."""
    return start(sandbox.url, REQUIRE_VERIFICATION_ID="true")


def id_of_a_send(service: Service, phone: str) -> str:
    return str(service.send(phone).json()["verificationId"])


def verify(service: Service, phone: str, pin: str, verification_id: Any) -> tuple[int, str]:
    body = {"phoneNumber": phone, "pin": pin, "verificationId": verification_id}
    answer = service.post("/verify-otp", body)
    return (200, "") if answer.status_code == 200 else refusal(answer)


def test_the_verification_id_is_random_and_only_its_hash_is_stored(
    service: Service, database: redis.Redis, phone: str
) -> None:
    given = []
    for _ in range(5):
        given.append(id_of_a_send(service, phone))
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    kept = database.hgetall(f"otp:phoneNumber:{phone}")
    assert len(set(given)) == 5
    assert all(re.fullmatch("[A-Za-z0-9_-]{22}", each) for each in given)  # 22 digits of 6 bits are 132 bits
    assert given[-1] not in str(kept), "only its hash is kept"


def test_the_right_verification_id_verifies_once(service: Service, sandbox: Sandbox, phone: str) -> None:
    verification_id = id_of_a_send(service, phone)
    assert verify(service, phone, sandbox.pin(phone), verification_id) == (200, "")
    assert verify(service, phone, sandbox.pin(phone), verification_id) == NO


def test_a_pin_verifies_without_a_verification_id(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_a_wrong_verification_id_costs_no_guess_and_does_not_reach_infobip(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    verification_id = id_of_a_send(service, phone)
    for other in ("", "x", verification_id[:-1], verification_id + "\n", verification_id.swapcase(), "é" * 500):
        assert verify(service, phone, sandbox.pin(phone), other) == NO
    assert sandbox.verifies() == 0
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "0"
    assert verify(service, phone, sandbox.pin(phone), verification_id) == (200, "")


def test_a_verification_id_belongs_to_one_send(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    older = id_of_a_send(service, phone)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    newer = id_of_a_send(service, phone)
    assert verify(service, phone, sandbox.pin(phone), older) == NO, "it is held against the older PIN"
    assert verify(service, phone, sandbox.pins(phone)[0], newer) == NO
    assert verify(service, phone, sandbox.pins(phone)[0], older) == (200, "")
    assert verify(service, phone, sandbox.pins(phone)[1], newer) == (200, "")


def test_the_verification_id_of_another_phone_is_refused(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    assert verify(service, phone, sandbox.pin(phone), id_of_a_send(service, "+14155552671")) == NO
    assert sandbox.verifies() == 0


def test_the_right_verification_id_gives_no_more_than_five_guesses(
    service: Service, sandbox: Sandbox, phone: str
) -> None:
    verification_id = id_of_a_send(service, phone)
    for _ in range(6):
        assert verify(service, phone, other_pin(sandbox.pin(phone)), verification_id) == NO
    assert verify(service, phone, sandbox.pin(phone), verification_id) == NO
    assert sandbox.verifies() == 5


@pytest.mark.parametrize("malformed", [1, True, 1.5, [], {}, ["x"]])
def test_a_verification_id_that_is_not_a_string_is_refused(service: Service, phone: str, malformed: Any) -> None:
    assert verify(service, phone, "123456", malformed) == (400, "invalid_request")


def test_without_a_required_verification_id_no_guess_is_used(strict: Service, sandbox: Sandbox, phone: str) -> None:
    """The refusal is that of any request without a required member, and reveals nothing about the number."""
    verification_id = id_of_a_send(strict, phone)
    for guess in (sandbox.pin(phone), other_pin(sandbox.pin(phone))) * 5:
        assert refusal(strict.verify(phone, guess)) == (400, "invalid_request")
        assert verify(strict, phone, guess, None) == (400, "invalid_request")
    never_sent = strict.verify("+14155552671", "123456")
    assert never_sent.content == strict.verify(phone, "123456").content
    assert sandbox.verifies() == 0
    assert verify(strict, phone, sandbox.pin(phone), verification_id) == (200, "")
