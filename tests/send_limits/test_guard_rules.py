"""Each rule of the guard, with a real Redis and a clock that the tests move."""

import random
from collections.abc import Callable

import pytest
import redis

from tests.support.guard_driver import DAY, HOUR, MINUTE, NOON, GuardDriver


def test_the_pending_sends_of_a_country_are_limited(guard_driver: Callable[..., GuardDriver]) -> None:
    assert guard_driver().fill(NOON) == 195
    assert guard_driver(guard_country_pending=40).fill(NOON) == 0
    assert guard_driver(guard_country_pending=210).fill(NOON) == 15, "other settings are judged anew"


def test_each_recent_verify_allows_more_pending_sends(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver(guard_country_pending=20, guard_country_follow=3)
    driver.verify(*[driver.enter(NOON) for _ in range(10)])
    assert driver.fill(NOON) == 20 + 3 * 10
    assert driver.fill(NOON + 6 * MINUTE) == 0, "by then they count as unverified"


def test_after_the_grace_period_the_unverified_sends_of_an_hour_are_limited(
    guard_driver: Callable[..., GuardDriver],
) -> None:
    driver = guard_driver(guard_country_day=1000, guard_country_pending=1000)
    assert driver.fill(NOON, step=MINUTE) == 30 + 3, "three are still pending"


def test_verified_sends_allow_more_unverified_ones(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver(guard_country_day=1000, guard_country_pending=1000, guard_country_ratio=0.5)
    driver.verify(*[driver.enter(NOON) for _ in range(40)])
    assert driver.fill(NOON, step=MINUTE / 2) == 30 + 20 + 6


def test_the_unverified_sends_of_a_day_are_limited(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver()
    assert driver.fill(NOON, step=10 * MINUTE) == 30
    assert driver.fill(NOON + 20 * HOUR) == 0


def test_the_best_day_of_two_weeks_allows_more_unverified_sends(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver()
    driver.verify(*[driver.enter(NOON) for _ in range(50)])
    assert driver.fill(NOON + 12 * DAY, step=5 * MINUTE) == 30 + 50
    other = guard_driver()
    assert other.fill(NOON + 30 * DAY, step=10 * MINUTE) == 30, "it is forgotten"


def test_an_attack_lowers_the_limits_of_the_next_days(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver()
    assert driver.fill(NOON) == 195
    assert [driver.fill(NOON + n * DAY + HOUR) for n in (1, 2, 3)] == [10, 10, 10]
    assert driver.fill(NOON + 18 * DAY) == 195


@pytest.mark.parametrize("step", [0, 10, 10 * MINUTE])
def test_the_wait_ends_when_there_is_room(guard_driver: Callable[..., GuardDriver], step: float) -> None:
    driver = guard_driver()
    start = NOON + 17  # not at the start of a minute
    at = start + driver.fill(start, step) * step
    wait = driver.wait(at)
    assert wait
    assert (at + wait) % MINUTE == 0, "no later than the minute in which there is room"
    assert driver.wait(at + wait - 1) is not None
    assert driver.wait(at + wait) is None


def test_a_prefix_may_have_ten_unverified_sends_an_hour(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver()
    prefix = [f"+4915112345{n:03}" for n in range(1000)]
    waits = [driver.wait(NOON + n, phone=phone) for n, phone in enumerate(prefix[:12])]
    assert [wait is None for wait in waits] == [True] * 10 + [False] * 2
    assert driver.wait(NOON, phone="+4915112355678") is None, "another prefix"
    assert driver.wait(NOON + 2 * HOUR, phone=prefix[20]) is None


def test_an_address_may_have_three_unverified_countries_a_day(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver()
    phones = ["+4915112345678", "+33612345678", "+447400123456", "+34612345678"]
    sent = [driver.enter(NOON, phone, "192.0.2.1") for phone in phones[:3]]
    assert driver.wait(NOON, phones[3], "192.0.2.1") == pytest.approx(DAY, abs=5)
    assert driver.wait(NOON, phones[0], "192.0.2.1") is None, "not a new one"
    assert driver.wait(NOON, phones[3], "192.0.2.2") is None, "another address"
    driver.verify(sent[1])
    assert [driver.wait(NOON, phone, "192.0.2.1") is None for phone in (*phones[3:], "+31612345678")] == [True, True]
    assert driver.wait(NOON, "+48501234567", "192.0.2.1") is not None, "three, and one for the verified one"


def test_an_address_whose_sends_are_all_verified_is_forgotten(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    driver = guard_driver()
    send_request = driver.enter(NOON, "+4915112345678", "192.0.2.1")
    assert database.exists("otp:guard:address:192.0.2.1")
    driver.verify(send_request)
    assert not database.exists("otp:guard:address:192.0.2.1")


@pytest.mark.parametrize("seed", range(5))
def test_no_timing_gets_more_sends_to_a_country(guard_driver: Callable[..., GuardDriver], seed: int) -> None:
    driver, source, at = guard_driver(), random.Random(seed), NOON
    sent = []
    while at < NOON + 4 * DAY:
        at += source.choice([1, 20, 5 * MINUTE, 61 * MINUTE]) * source.random()
        if driver.wait(at) is None:
            sent.append(at)
    days = [sum(NOON + n * DAY <= at < NOON + (n + 1) * DAY for at in sent) for n in range(4)]
    assert days[0] <= 195
    assert max(days[1:]) < 2 * 10
