"""The guard's Redis script must decide as a plain model of its rules does, over random histories."""

import json
import random
from typing import Any

import pytest
import redis

from otp.redis.scripts import Script, in_full
from otp.send_limits.fraud_guard.scopes import scopes
from tests.support.guard_driver import DAY, HOUR, MINUTE, NOON, allowances
from tests.support.plain_guard import PlainGuard, PlainSend

RESERVE, RESULT = Script("guard_scope_reserve"), Script("guard_scope_result")
KEY = "otp:guard:country:DE"
# Seconds between two sends: bursts within a minute, a steady trickle, or hours and days apart. Each pause is at least
# one second, for which the script keeps a verdict.
PAUSES = {
    "bursts": [1, 1, 2, 3, 20 * MINUTE],
    "trickle": [30, MINUTE, 2 * MINUTE, 5 * MINUTE],
    "days": [1, 1, 1, MINUTE, HOUR, 7 * HOUR, 2 * DAY],
}


def allowance(source: random.Random, scope: str) -> dict[str, Any]:
    """Return random allowances, small enough that each of them is reached."""
    given = allowances(
        guard_country_pending=source.randint(3, 25),
        guard_country_hour=source.randint(2, 12),
        guard_country_day=source.randint(2, 15),
        guard_country_least=source.randint(1, 4),
        guard_country_ratio=source.choice([0, 0.5, 1, 2]),
        guard_country_follow=source.choice([0, 1, 4]),
        guard_prefix_hour=source.randint(2, 10),
        guard_grace=source.choice([60, 180, 1800]),
    )
    return dict(json.loads({one.name: one.allowance for one in scopes(given)}[scope]))


def reply(database: redis.Redis, script: Script, *arguments: Any) -> Any:
    return database.execute_command(*in_full(script([KEY], *arguments)))


@pytest.mark.parametrize("rhythm", PAUSES)
@pytest.mark.parametrize("scope", ["country", "prefix"])
@pytest.mark.parametrize("seed", range(4))
def test_the_script_decides_as_the_model_does(database: redis.Redis, rhythm: str, scope: str, seed: int) -> None:
    source = random.Random(f"{rhythm} {scope} {seed}")
    allowed = allowance(source, scope)
    plain, at, unverified = PlainGuard(allowed), NOON + source.random() * DAY, list[float]()
    reasons = set()
    for _ in range(150):
        at = round(at + source.choice(PAUSES[rhythm]) * source.uniform(1, 1.5), 3)
        if not database.exists(KEY):
            plain.sends.clear()  # all sends were released, or the script deleted the prefix
        expected = plain.send(at)
        assert tuple(reply(database, RESERVE, at, "DE", json.dumps(allowed), "block")) == expected
        reasons.add(expected[2])
        if expected[0]:
            unverified.append(at)
        while unverified and source.random() < 0.4:
            sent = unverified.pop(source.randrange(len(unverified)))
            if at - sent < 30 * MINUTE:
                result = source.choice(["verified", "verified", "released"])
                plain.record_result(sent, result)
                reply(database, RESULT, sent, "DE", result)
    assert rhythm == "days" or reasons - {""}, "it was full at times"


def test_a_refusal_is_kept_for_a_second(database: redis.Redis) -> None:
    """Otherwise, each of hundreds of requests would make the script search for the room that a verify has made."""
    allowed = json.dumps({"grace": 3, "pending": 1, "hour": 1, "least": 1, "ratio": 0, "follow": 4})
    assert reply(database, RESERVE, NOON, "DE", allowed, "block")[0] == 1
    assert reply(database, RESERVE, NOON, "DE", allowed, "block")[0] == 0
    reply(database, RESULT, NOON, "DE", "verified")
    assert reply(database, RESERVE, NOON + 0.9, "DE", allowed, "block")[0] == 0
    assert reply(database, RESERVE, NOON + 1, "DE", allowed, "block") == [1, 0, ""]
    assert database.hget(KEY, "until") is None


def test_a_forced_send_is_counted_and_not_checked(database: redis.Redis) -> None:
    allowed = json.dumps({"grace": 3, "pending": 1, "hour": 1, "least": 1, "ratio": 0, "follow": 0})
    for _ in range(5):
        assert reply(database, RESERVE, NOON, "DE", allowed, "force") == [1, 0, ""]
    assert database.hget(KEY, "judged") is None
    assert reply(database, RESERVE, NOON, "DE", allowed, "block")[0] == 0


@pytest.mark.parametrize("skew", [-2 * DAY, -HOUR, -90, 90, HOUR, 2 * DAY])
def test_a_replica_whose_clock_is_wrong_breaks_nothing(database: redis.Redis, skew: float) -> None:
    """Two replicas write to the same lists. Each decides by its own clock, and the lists stay sorted and bounded."""
    allowed = {one.name: one.allowance for one in scopes(allowances())}["country"]
    for n in range(300):
        at = NOON + n * MINUTE + (skew if n % 2 else 0)
        reply(database, RESERVE, at, "DE", allowed, "force")
    for unit, kept in (("minutes", 60), ("hours", 24), ("days", 14)):
        numbers = [int(n) for n in str(database.hget(KEY, unit)).split(",")[:-1]][::3]
        assert numbers == sorted(set(numbers), reverse=True)
        assert len(numbers) <= 2 * kept
    if skew < DAY:  # a clock that is days ahead makes the script forget older sends
        assert reply(database, RESERVE, NOON + 300 * MINUTE, "DE", allowed, "block")[0] == 0


def test_the_wait_considers_how_long_a_verified_send_makes_room(database: redis.Redis) -> None:
    """In a minute, the five sends of three minutes ago stop being pending; until then the three verified ones count."""
    allowed = {"grace": 3, "pending": 2, "hour": 100, "least": 1, "ratio": 2, "follow": 2}
    plain = PlainGuard(allowed)
    for minutes, sends, result in ((4, 3, "verified"), (3, 5, ""), (0, 3, "")):
        for n in range(sends):
            at = NOON - minutes * MINUTE + n / 10
            reply(database, RESERVE, at, "DE", json.dumps(allowed), "force")
            plain.sends.append(PlainSend(at, verified=bool(result)))
            if result:
                reply(database, RESULT, at, "DE", result)
    assert reply(database, RESERVE, NOON, "DE", json.dumps(allowed), "block") == [0, 60, "pending"]
    assert plain.send(NOON) == (0, 60, "pending")
