"""Tests the sliding windows of the limits by brute force: at no moment does a window contain more than its limit."""

import random
from typing import Any

import pytest
import redis

from otp.redis.scripts import Script, in_full

SECOND = 1_000_000
START = 1_795_435_200 * SECOND


class MovedClock:
    """Runs a script as if at another time, in microseconds since 1970."""

    def __init__(self, database: redis.Redis, name: str, *keys: str) -> None:
        text = str(in_full(Script(name)(keys))[1])
        assert text.count("redis.call('TIME')") == 1
        self._text = text.replace("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}")
        self._database, self._keys = database, keys

    def __call__(self, now: int, *arguments: int) -> Any:
        return self._database.eval(self._text, len(self._keys), *self._keys, *arguments, *divmod(now, SECOND))


def arrivals(source: random.Random, period: int) -> list[int]:
    """Return times in bursts, at a steady pace, and around the edges of a window."""
    at, times = START + source.randrange(period), []
    pauses = [0, 1, period // 1000, period // 61, period // 20, period // 3, period - 1, period]
    for _ in range(600):
        at += source.choice(source.choice([pauses[:3], pauses[2:5], pauses]))
        times.append(at)
    return times


def most_in_a_window(taken: list[int], period: int) -> int:
    return max(sum(first <= at < first + period for at in taken) for first in taken)


@pytest.mark.parametrize("seed", range(6))
def test_a_window_lets_exactly_the_limit_through(database: redis.Redis, seed: int) -> None:
    source = random.Random(seed)
    amount, seconds = source.choice([(1, 2), (5, 900), (20, 60)])
    period, taken = seconds * SECOND, list[int]()
    take = MovedClock(database, "window_take", "w")
    for at in arrivals(source, period):
        living = [one for one in taken if at - one < period]
        fits = len(living) < amount
        taken += [at] if fits else []
        living += [at] if fits else []
        assert take(at, amount, seconds, 1) == [int(fits), amount - len(living), living[0] + period - at, at]
    assert most_in_a_window(taken, period) == amount
    assert database.llen("w") <= amount
    assert 0 < database.pttl("w") <= seconds * 1000 + 1


@pytest.mark.parametrize("seed", range(6))
def test_two_windows_take_only_what_both_have_room_for(database: redis.Redis, seed: int) -> None:
    """If one of them refuses, the other one has counted nothing."""
    source = random.Random(seed)
    amounts, seconds = source.choice([((1, 2), 2), ((5, 12), 900), ((20, 20), 60)])
    period = seconds * SECOND
    take = {subnet: MovedClock(database, "window_take", subnet, "{w}") for subnet in ("{w}1", "{w}2", "{w}3")}
    taken: dict[str, list[int]] = {key: [] for key in [*take, "{w}"]}
    for at in arrivals(source, period):
        subnet = source.choice([*take])
        living = {key: [one for one in taken[key] if at - one < period] for key in (subnet, "{w}")}
        fits = all(len(living[key]) < amount for key, amount in zip(living, amounts, strict=True))
        for key in living:
            taken[key] += [at] * fits
            living[key] += [at] * fits
        expected = [
            [amount - len(times), (times[0] if times else at) + period - at]
            for times, amount in zip(living.values(), amounts, strict=True)
        ]
        assert take[subnet](at, amounts[0], seconds, 1, amounts[1]) == [int(fits), *expected[0], *expected[1], at]
    assert most_in_a_window(taken["{w}"], period) == amounts[1]
    assert {key: database.llen(key) <= amounts[key == "{w}"] for key in taken} == dict.fromkeys(taken, True)


@pytest.mark.parametrize("seed", range(6))
def test_giving_back_makes_room_and_is_bounded(database: redis.Redis, seed: int) -> None:
    """Both windows give back or neither does, in each period at most as often as each of them may."""
    source = random.Random(seed)
    most, seconds = source.choice([((1, 2), 2), ((5, 12), 900), ((20, 20), 60)])
    subnets, period = ("{w}1", "{w}2", "{w}3"), seconds * SECOND
    give_back = {s: MovedClock(database, "window_give_back", s, "{w}", f"{s}:back", "{w}:back") for s in subnets}
    given_back: dict[str, list[int]] = {key: [] for key in (*subnets, "{w}")}
    for at in arrivals(source, period):
        subnet = source.choice(subnets)
        kept = at - source.randrange(1, SECOND)
        for key in (subnet, "{w}"):
            database.delete(key)
            database.rpush(key, at, at, kept)
            database.expire(key, 60)
        living = {key: [one for one in given_back[key] if at - one < period] for key in (subnet, "{w}")}
        fits = all(len(living[key]) < amount for key, amount in zip(living, most, strict=True))
        assert give_back[subnet](at, at, seconds, *most) == fits
        for key in living:
            given_back[key] += [at] * fits
            assert database.lrange(key, 0, -1) == [str(at)] * (2 - fits) + [str(kept)]
    assert most_in_a_window(given_back["{w}"], period) == most[1]
    assert all(0 < database.pttl(f"{key}:back") <= seconds * 1000 + 1 for key in given_back)
    assert database.llen("{w}:back") <= most[1]


@pytest.mark.parametrize(("since", "given_back"), [(1023, 1), (1024, 0)])
def test_the_search_for_what_is_given_back_is_bounded(database: redis.Redis, since: int, given_back: int) -> None:
    """The window has taken `since` others after it. An entry that is not found stays counted."""
    database.rpush("w", *range(START + since, START - 1, -1))
    database.expire("w", 60)
    give_back = MovedClock(database, "window_give_back", "w", "{w}:back")
    assert give_back(START + SECOND, START, 60, 10_000) == given_back
    assert (database.llen("w"), database.llen("{w}:back")) == (since + 1 - given_back, given_back)


def test_a_window_that_is_only_looked_at_takes_nothing(database: redis.Redis) -> None:
    take = MovedClock(database, "window_take", "w")
    assert take(START, 2, 10, 0) == [1, 2, 10 * SECOND, START]
    assert not database.exists("w")


@pytest.mark.parametrize("cost", [0, 1])
def test_a_window_of_thousands_removes_expired_entries_in_parts(database: redis.Redis, cost: int) -> None:
    """Some calls may report a smaller remainder than there is, but whether they take one is exact."""
    take = MovedClock(database, "window_take", "w")
    database.rpush("w", *(START - n for n in range(5000)))
    database.expire("w", 60)
    assert take(START, 5000, 60, 1)[0] == 0
    left = [take(START + 60 * SECOND, 5000, 60, cost) for _ in range(6)]
    assert [taken for taken, *_ in left] == [1] * 6
    assert [remaining for _, remaining, *_ in left][-1] == 5000 - 6 * cost


@pytest.mark.parametrize("seed", range(6))
def test_a_quota_is_never_exceeded_and_at_most_a_sixtieth_late(database: redis.Redis, seed: int) -> None:
    source = random.Random(seed)
    amount, seconds = source.choice([(1, 2), (20, 60), (20, 86400)])
    period, taken = seconds * SECOND, list[int]()
    reserve = MovedClock(database, "quota_reserve", "q")
    part = period / 60
    for at in arrivals(source, period):
        counted, _, wait = reserve(at, amount, seconds)
        if counted:
            taken.append(at)
        else:
            assert sum(at - one < period + part for one in taken) >= amount, "it is not refused for what is long over"
            assert 0 < wait <= (period + part) / 1000 + 1
            copy: Any = database.dump("q")
            assert reserve(at + wait * 1000, amount, seconds)[0] == 1, "the wait is true"
            database.restore("q", 2 * seconds * 1000, copy, replace=True)
    assert most_in_a_window(taken, period) == amount
    assert database.hlen("q") <= 61 + 3


def test_a_quota_under_steady_pressure_loses_less_than_five_percent(database: redis.Redis) -> None:
    reserve = MovedClock(database, "quota_reserve", "q")
    taken = [at for n in range(6000) if reserve(at := START + n * SECOND // 10, 20, 60)[0]]
    for first in range(START + 60 * SECOND, START + 540 * SECOND, SECOND):
        assert sum(first <= at < first + 61 * SECOND for at in taken) >= 19
    assert most_in_a_window(taken, 60 * SECOND) == 20


def test_a_release_frees_the_part_that_counted_the_send(database: redis.Redis) -> None:
    reserve = MovedClock(database, "quota_reserve", "q")
    first = reserve(START, 2, 60)
    assert reserve(START + 30 * SECOND, 2, 60)[0] == 1
    assert reserve(START + 30 * SECOND, 2, 60)[0] == 0
    release = in_full(Script("quota_release")(["q"], first[1]))
    database.execute_command(*release)
    database.execute_command(*release)  # that part is empty, so this changes nothing
    assert reserve(START + 30 * SECOND, 2, 60)[0] == 1
    assert reserve(START + 62 * SECOND, 2, 60)[0] == 0, "both were counted at 30 s"
    assert reserve(START + 91 * SECOND, 2, 60)[0] == 1


def test_a_quota_whose_clock_was_set_back_frees_nothing(database: redis.Redis) -> None:
    reserve = MovedClock(database, "quota_reserve", "q")
    assert reserve(START, 1, 60)[0] == 1
    assert reserve(START - 3600 * SECOND, 1, 60)[0] == 0
    assert reserve(START + 62 * SECOND, 1, 60)[0] == 1
