"""What the guard counts, what it takes back, and when it does nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from otp.errors import StoreUnavailable
from tests.support.guard_driver import DAY, NOON, GuardDriver, counted


@pytest.fixture(scope="session")
def redis_url(redis_url: str) -> str:
    """A database that no service of other tests still writes to."""
    return redis_url.removesuffix("/0") + "/1"


def test_who_was_verified_lately_passes_country_and_prefix(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    someone = guard_driver()
    known = someone.enter(NOON, "+4915112345678")
    someone.verify(known)
    someone.fill(NOON)
    assert someone.wait(NOON, "+4915112345679") is not None
    before = database.hgetall("otp:guard:country:DE")
    assert someone.wait(NOON, "+4915112345678") is None
    assert database.hgetall("otp:guard:country:DE") != before, "it counts all the same"
    for n in range(4):
        someone.wait(NOON, ["+33612345678", "+447400123456", "+34612345678", "+31612345678"][n], "192.0.2.9")
    assert someone.wait(NOON, "+4915112345678", "192.0.2.9") is not None, "its address must have room"


def test_both_sends_of_who_asked_twice_are_verified(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    someone = guard_driver()
    first = someone.enter(NOON, "+4915112345678", "192.0.2.1")
    someone.enter(NOON + 90, "+4915112345678", "192.0.2.2")
    someone.verify(first)
    someone.verify(first)
    assert counted(database, "country:DE", "days") == {int(NOON // DAY): (2, 2)}, "and each once"
    assert list(database.scan_iter("otp:guard:address:*")) == []


def test_what_is_forgotten_by_then_is_not_verified(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    someone = guard_driver()
    send_request = someone.enter(NOON, "+4915112345678", "192.0.2.1")
    database.delete("otp:guard:country:DE", "otp:guard:prefix:+491511234", "otp:guard:address:192.0.2.1")
    someone.verify(send_request)
    assert list(database.scan_iter("otp:guard:*")) == []


def test_what_was_not_sent_is_uncounted(guard_driver: Callable[..., GuardDriver], database: redis.Redis) -> None:
    someone = guard_driver(guard_country_pending=10, guard_country_least=1)
    sent = [someone.enter(NOON) for _ in range(10)]
    assert someone.wait(NOON) is not None
    someone.send_limits.release(sent[0])
    assert someone.wait(NOON + 1) is None
    assert someone.wait(NOON + 1) is not None
    assert not database.exists(f"otp:guard:pending:{sent[0].phone}")
    assert not database.exists(f"otp:guard:address:{sent[0].requester.address}")


def test_what_one_scope_refuses_is_not_counted_by_another(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis
) -> None:
    someone = guard_driver()
    for n in range(12):
        someone.wait(NOON, f"+4915112345{n:03}", "")
    assert counted(database, "country:DE", "days") == {int(NOON // DAY): (10, 0)}


def test_racing_sends_never_exceed_a_budget(guard_driver: Callable[..., GuardDriver]) -> None:
    someone = guard_driver()
    with ThreadPoolExecutor(20) as crowd:
        waits = list(crowd.map(lambda n: someone.wait(NOON, f"+4915112345{n:03}"), range(60)))
    assert waits.count(None) == 10


def test_monitor_lets_through_counts_and_tells(
    guard_driver: Callable[..., GuardDriver], caplog: pytest.LogCaptureFixture
) -> None:
    someone = guard_driver(fraud_guard="monitor")
    assert [someone.wait(NOON, f"+4915112345{n:03}") for n in range(15)] == [None] * 15
    assert someone.suspicions == 5
    assert caplog.messages == ["let a send to DE through that looks like SMS pumping (prefix: pending)"] * 5


def test_a_refusal_is_counted_for_the_alert_and_not_logged(
    guard_driver: Callable[..., GuardDriver], caplog: pytest.LogCaptureFixture
) -> None:
    someone = guard_driver()
    for n in range(15):
        someone.wait(NOON, f"+4915112345{n:03}")
    assert (someone.suspicions, caplog.messages) == (5, [])


def test_off_does_nothing(guard_driver: Callable[..., GuardDriver], database: redis.Redis) -> None:
    someone = guard_driver(fraud_guard="off")
    someone.verify(*[someone.enter(NOON, f"+4915112345{n:03}") for n in range(15)])
    assert list(database.scan_iter("otp:guard:*")) == []


@pytest.mark.parametrize("kind", ["country:DE", "prefix:+491511234", "address:192.0.2.1", "pending:+4915112345678"])
def test_counters_that_cannot_be_read_refuse(
    guard_driver: Callable[..., GuardDriver], database: redis.Redis, kind: str
) -> None:
    database.set(f"otp:guard:{kind}", "not a hash", ex=60)
    with pytest.raises(StoreUnavailable):
        guard_driver().enter(NOON, "+4915112345678", "192.0.2.1")
