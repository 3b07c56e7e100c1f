"""PINs with letters may be typed in the other case, because Infobip's documents do not say which case they have."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.support.command import CommandLine
from tests.support.running import ACCOUNT, Sandbox, Service, refusal

Start = Callable[..., Service]
INVALID = (401, "invalid_otp")


@pytest.fixture
def started(start: Start, database: redis.Redis, sandbox: Sandbox) -> Start:
    """A function that starts the service with settings, and with a sandbox that sends everybody the same PIN."""

    def started(fixed_pin: str, **settings: str) -> Service:
        sandbox.reset(fixed_pin=fixed_pin)
        return start(sandbox.url, **settings)

    return started


@pytest.mark.parametrize(
    ("pin_type", "case", "sent", "typed"),
    [
        ("ALPHANUMERIC", "upper", "A7CDE9", "a7cdE9"),
        ("ALPHANUMERIC", "lower", "a7cde9", "A7Cde9"),
        ("ALPHA", "upper", "ABCDEF", "abcdef"),
        ("ALPHA", "lower", "abcdef", "ABCDEF"),
        ("HEX", "upper", "00BEEF", "00beef"),
        ("HEX", "lower", "00beef", "00BEEF"),
    ],
)
def test_a_pin_may_be_typed_in_the_other_case(
    started: Start, phone: str, pin_type: str, case: str, sent: str, typed: str
) -> None:
    service = started(sent, PIN_TYPE=pin_type, PIN_CASE=case)
    service.send(phone)
    assert refusal(service.verify(phone, typed[::-1])) == INVALID
    assert service.verify(phone, typed).status_code == 200


@pytest.mark.parametrize("case", ["", "as-typed"])
def test_a_pin_of_both_cases_is_checked_as_it_was_typed(started: Start, phone: str, case: str) -> None:
    service = started("aBcDeF", PIN_TYPE="ALPHA", PIN_CASE=case)
    service.send(phone)
    for typed in ("abcdef", "ABCDEF"):
        assert refusal(service.verify(phone, typed)) == INVALID
    assert service.verify(phone, "aBcDeF").status_code == 200


def test_digits_have_no_case(started: Start, phone: str) -> None:
    service = started("123456", PIN_CASE="upper")
    service.send(phone)
    assert refusal(service.verify(phone, "12345a")) == (400, "invalid_pin_format")
    assert service.verify(phone, "123456").status_code == 200


def test_the_command_changes_the_case_like_the_service(
    sandbox: Sandbox, redis_url: str, database: redis.Redis, tmp_path: Path, phone: str
) -> None:
    sandbox.reset(fixed_pin="A7CDE9")
    letters = {"PIN_TYPE": "ALPHANUMERIC", "PIN_CASE": "upper"}
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=redis_url, **ACCOUNT, **letters)
    assert command.run("send", phone)[0] == 0
    assert command.run("verify", phone, "a7cde9") == (0, "OTP verified successfully.\n")
