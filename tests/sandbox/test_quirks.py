"""The switches for behavior that Infobip's documentation leaves open, and the bounds on what the sandbox keeps."""

import tracemalloc

import pytest

from sandbox import quirks
from sandbox.api_error import ApiError
from sandbox.grammar import Limit
from sandbox.model import Channel, Configuration, SendRequest
from sandbox.quirks import Quirks
from sandbox.rate_limits import STEPS, RateLimits
from sandbox.server import APPLICATION_ID, MESSAGE_ID
from sandbox.two_factor import KEPT_MESSAGES
from tests.support.infobip import APPLICATION, TO, UNKNOWN, call, error, resend, send, verify
from tests.support.running import Clock, Sandbox, other_pin

PHONE = f"+{TO}"
STRICT = Configuration(allow_multiple_pin_verifications=False, verify_pin_limit="100/s", pin_attempts=2)


@pytest.mark.parametrize(("status", "answer"), [("404", UNKNOWN), ("400", (400, "BAD_REQUEST"))])
def test_unknown_pin_status_selects_the_response(sandbox: Sandbox, status: str, answer: tuple[int, str]) -> None:
    sandbox.reset(quirks=Quirks(unknown_pin_status=status))
    assert error(verify(sandbox.url, "ABC", "1")) == error(resend(sandbox.url, "ABC")) == answer


@pytest.mark.parametrize(("updates", "attempts"), [("merge", 2), ("replace", 10)])
def test_updates_selects_whether_a_put_keeps_omitted_members(sandbox: Sandbox, updates: str, attempts: int) -> None:
    sandbox.reset(STRICT, Quirks(updates=updates))
    changed = call(sandbox.url, "PUT", APPLICATION, {"name": "x", "configuration": {"pinTimeToLive": "1h"}})[1]
    assert changed["configuration"]["pinTimeToLive"] == "1h"
    assert changed["configuration"]["pinAttempts"] == attempts


@pytest.mark.parametrize(("older_pins", "right"), [("valid", True), ("void", False)])
def test_older_pins_selects_whether_an_older_pin_stays_valid(sandbox: Sandbox, older_pins: str, right: bool) -> None:
    sandbox.reset(quirks=Quirks(older_pins=older_pins))
    first, _, other = (send(sandbox.url, to)[1]["pinId"] for to in (TO, TO, "14155552671"))
    pin = sandbox.pins(PHONE)[0]
    assert verify(sandbox.url, first, pin)[1]["verified"] is right
    assert verify(sandbox.url, other, sandbox.pin("+14155552671"))[1]["verified"] is True


@pytest.mark.parametrize("restarts", [False, True])
def test_resend_restarts_selects_whether_a_resend_renews_the_lifetime(sandbox: Sandbox, restarts: bool) -> None:
    sandbox.reset(quirks=Quirks(resend_restarts=restarts))
    pin_id = send(sandbox.url)[1]["pinId"]
    sandbox.clock.ahead += 500
    resend(sandbox.url, pin_id)
    sandbox.clock.ahead += 500
    assert verify(sandbox.url, pin_id, sandbox.pin(PHONE))[1]["verified"] is restarts


@pytest.mark.parametrize("pin_error", ["NO_MORE_PIN_ATTEMPTS", "WRONG_PIN", "TTL_EXPIRED"])
def test_used_pin_error_selects_the_error_of_a_used_pin(sandbox: Sandbox, pin_error: str) -> None:
    sandbox.reset(STRICT, Quirks(used_pin_error=pin_error))
    pin_id = send(sandbox.url)[1]["pinId"]
    answers = [verify(sandbox.url, pin_id, sandbox.pin(PHONE))[1].get("pinError") for _ in range(2)]
    assert answers == [None, pin_error]


@pytest.mark.parametrize("pin_error", ["WRONG_PIN", "NO_MORE_PIN_ATTEMPTS"])
def test_last_attempt_error_selects_the_error_of_the_last_attempt(sandbox: Sandbox, pin_error: str) -> None:
    sandbox.reset(STRICT, Quirks(last_attempt_error=pin_error))
    pin_id, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    answers = [verify(sandbox.url, pin_id, other_pin(pin))[1]["pinError"] for _ in range(2)]
    assert answers == ["WRONG_PIN", pin_error]


@pytest.mark.parametrize(("costs", "remaining"), [(False, 8), (True, 7)])
def test_throttled_costs_selects_the_cost_of_a_throttled_verify(sandbox: Sandbox, costs: bool, remaining: int) -> None:
    sandbox.reset(Configuration(), Quirks(throttled_costs=costs))
    pin_id, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    for _ in range(2):
        verify(sandbox.url, pin_id, other_pin(pin))
    sandbox.clock.ahead += 3
    assert verify(sandbox.url, pin_id, other_pin(pin))[1]["attemptsRemaining"] == remaining


@pytest.mark.parametrize(("timestamps", "digits"), [("seconds", 10), ("milliseconds", 13)])
def test_timestamps_selects_the_unit_of_time(sandbox: Sandbox, timestamps: str, digits: int) -> None:
    sandbox.reset(quirks=Quirks(timestamps=timestamps))
    verify(sandbox.url, send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE))
    (verification,) = call(sandbox.url, "GET", f"{APPLICATION}/verifications?msisdn={TO}")[1]["verifications"]
    assert len(str(verification["sentAt"])) == len(str(verification["verifiedAt"])) == digits


def test_the_switches_come_from_the_environment() -> None:
    given = {"SANDBOX_CREATED_STATUS": "200", "SANDBOX_OLDER_PINS": ""}
    read = Quirks.from_environment(given)
    assert (read.created_status, read.older_pins) == ("200", "valid")
    with pytest.raises(ValueError, match="older_pins"):
        Quirks.from_environment({**given, "SANDBOX_OLDER_PINS": "gone"})


def test_every_switch_is_explained() -> None:
    assert all(f"    {name} " in str(quirks.__doc__) for name in Quirks.model_fields)


def test_the_memory_for_sent_messages_is_bounded(sandbox: Sandbox) -> None:
    """The number of messages and the memory for sends to ever new numbers stay bounded."""

    def send_many(count: int, start: int) -> int:
        for n in range(count):
            request = SendRequest(application_id=APPLICATION_ID, message_id=MESSAGE_ID, to=str(start + n))
            sandbox.two_factor.send(request, Channel.SMS)
            sandbox.clock.ahead += 4
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = send_many(2_500, 4915110000000)
    grown = send_many(5_000, 4915120000000) - before
    tracemalloc.stop()
    assert len(sandbox.messages) == KEPT_MESSAGES
    assert grown < before


def test_a_window_is_kept_in_few_steps_and_still_exact() -> None:
    clock, limit = Clock(), Limit(5000, 1000.0)
    rate_limits = RateLimits(clock)
    for _ in range(5000):
        rate_limits.take({"x": limit})
        clock.ahead += 0.1
    (window,) = rate_limits._windows.values()
    assert len(window.steps) <= STEPS
    with pytest.raises(ApiError):
        rate_limits.take({"x": limit})
    clock.ahead += 500
    rate_limits.take({"x": limit})
