"""What the guard counts, which counts it takes back, and when it does nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from otp.errors import StoreUnavailable
from tests.support.guard_driver import DAY, NOON, GuardDriver, counted


@pytest.fixture(scope="session")
def redis_url(redis_url: str) -> str:
    """The URL of a database to which no service of another test still writes."""
    return redis_url.removesuffix("/0") + "/1"


def test_a_recently_verified_phone_passes_the_limits_of_country_and_prefix(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    driver = guard_driver()
    known = driver.enter(NOON, "+4915112345678")
    driver.verify(known)
    driver.fill(NOON)
    assert driver.wait(NOON, "+4915112345679") is not None
    before = database.hgetall("otp:guard:country:DE")
    assert driver.wait(NOON, "+4915112345678") is None
    assert database.hgetall("otp:guard:country:DE") != before, "it counts all the same"
    for n in range(4):
        driver.wait(NOON, ["+33612345678", "+447400123456", "+34612345678", "+31612345678"][n], "192.0.2.9")
    assert driver.wait(NOON, "+4915112345678", "192.0.2.9") is not None, "its address must have room"


def test_a_verify_counts_for_both_sends_to_a_phone(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    driver = guard_driver()
    first = driver.enter(NOON, "+4915112345678", "192.0.2.1")
    driver.enter(NOON + 90, "+4915112345678", "192.0.2.2")
    driver.verify(first)
    driver.verify(first)
    assert counted(database, "country:DE", "days") == {int(NOON // DAY): (2, 2)}, "and each once"
    assert list(database.scan_iter("otp:guard:address:*")) == []


def test_a_verify_does_not_restore_deleted_counters(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    driver = guard_driver()
    send_request = driver.enter(NOON, "+4915112345678", "192.0.2.1")
    database.delete("otp:guard:country:DE", "otp:guard:prefix:+491511234", "otp:guard:address:192.0.2.1")
    driver.verify(send_request)
    assert list(database.scan_iter("otp:guard:*")) == []


def test_a_released_send_is_no_longer_counted(guard_driver: Callable[..., GuardDriver], database: redis.Redis) -> None:
    driver = guard_driver(guard_country_pending=10, guard_country_least=1)
    sent = [driver.enter(NOON) for _ in range(10)]
    assert driver.wait(NOON) is not None
    driver.send_limits.release(sent[0])
    assert driver.wait(NOON + 1) is None
    assert driver.wait(NOON + 1) is not None
    assert not database.exists(f"otp:guard:pending:{sent[0].phone}")
    assert not database.exists(f"otp:guard:address:{sent[0].requester.address}")


def test_a_send_that_one_scope_refuses_is_not_counted_by_another(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    driver = guard_driver()
    for n in range(12):
        driver.wait(NOON, f"+4915112345{n:03}", "")
    assert counted(database, "country:DE", "days") == {int(NOON // DAY): (10, 0)}


def test_racing_sends_never_exceed_an_allowance(guard_driver: Callable[..., GuardDriver]) -> None:
    driver = guard_driver()
    with ThreadPoolExecutor(20) as crowd:
        waits = list(crowd.map(lambda n: driver.wait(NOON, f"+4915112345{n:03}"), range(60)))
    assert waits.count(None) == 10


def test_monitor_mode_allows_counts_and_logs_suspicious_sends(
    guard_driver: Callable[..., GuardDriver], caplog: pytest.LogCaptureFixture
) -> None:
    driver = guard_driver(fraud_guard="monitor")
    assert [driver.wait(NOON, f"+4915112345{n:03}") for n in range(15)] == [None] * 15
    assert driver.suspicions == 5
    assert caplog.messages == ["let a send to DE through that looks like SMS pumping (prefix: pending)"] * 5


def test_a_refusal_is_counted_for_the_alert_and_not_logged(
    guard_driver: Callable[..., GuardDriver], caplog: pytest.LogCaptureFixture
) -> None:
    driver = guard_driver()
    for n in range(15):
        driver.wait(NOON, f"+4915112345{n:03}")
    assert (driver.suspicions, caplog.messages) == (5, [])


def test_the_guard_does_nothing_when_it_is_off(guard_driver: Callable[..., GuardDriver], database: redis.Redis) -> None:
    driver = guard_driver(fraud_guard="off")
    driver.verify(*[driver.enter(NOON, f"+4915112345{n:03}") for n in range(15)])
    assert list(database.scan_iter("otp:guard:*")) == []


@pytest.mark.parametrize("kind", ["country:DE", "prefix:+491511234", "address:192.0.2.1", "pending:+4915112345678"])
def test_counters_that_cannot_be_read_refuse_sends(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis, kind: str
) -> None:
    database.set(f"otp:guard:{kind}", "not a hash", ex=60)
    with pytest.raises(StoreUnavailable):
        guard_driver().enter(NOON, "+4915112345678", "192.0.2.1")
