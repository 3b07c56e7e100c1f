"""Which of two sends was the later one, where the clock of Redis is put back: a save that comes late depends on it."""

from typing import Any

import redis

from otp.redis.client import RedisClient, connect
from otp.redis.scripts import Script

RESERVE = Script("recipient_reserve")
SAVE = Script("pin_save")
REMOVE = Script("pin_remove")
KEYS = [f"{{phoneNumber:+14155552671}}:{name}" for name in ("cooldown", "sent", "sent:0123456789ab", "trusted")]
SENT = "{otp:phoneNumber:+14155552671}:sent"  # as it stands in Redis
PIN = ["phoneNumber:+14155552671"]
AHEAD = 3600 * 1_000_000  # microseconds


def test_a_clock_that_is_put_back_makes_no_send_an_earlier_one(database: redis.Redis, redis_url: str) -> None:
    seconds, micros = database.time()
    later = seconds * 1_000_000 + micros + AHEAD
    database.lpush(SENT, later)  # what another server wrote, whose clock was an hour ahead
    database.expire(SENT, 60)
    with connect(redis_url) as client:
        for send in ("one", "two"):
            ((wait, _, order, _),) = client.run(RESERVE(KEYS, send, 30_000, "0123456789ab", 3600, 5, 2, 86400))
            assert wait == 0
            assert order > later
            later = order
            client.run(("DEL", KEYS[0]))


def save(client: RedisClient, order: int, whose: str = "") -> tuple[int, str]:
    """Of the PIN `pin-<order>`, whose verification id is `id-<order>`."""
    fields = ("pinId", f"pin-{order}", "verification", f"id-{order}")
    ((saved, gone),) = client.run(SAVE(PIN, 60_000, order, whose, *fields))
    return saved, gone


def kept(database: redis.Redis) -> dict[str, bool]:
    """The PINs, and whether each is reached by its id alone."""
    known: dict[Any, Any] = database.hgetall(f"otp:{PIN[0]}")
    places = [name.removesuffix("pinId") for name in known if name.endswith("pinId")]
    return {known[f"{place}pinId"]: f"{place}older" in known for place in places}


def test_three_live_side_by_side_and_the_oldest_gives_way(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        assert [save(client, order) for order in (1, 2, 3)] == [(1, "")] * 3
        assert save(client, 4) == (1, "id-1")
        assert save(client, 5) == (1, "id-2")
    assert kept(database) == {"pin-3": True, "pin-4": True, "pin-5": False}


def test_each_client_has_a_newest_one(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        for order, whose in enumerate(["shop", "bank", "shop"], 1):
            save(client, order, whose)
    assert kept(database) == {"pin-1": True, "pin-2": False, "pin-3": False}


def test_a_save_that_comes_late_is_no_newer_one(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        assert save(client, 2) == (1, "")
        assert save(client, 1) == (1, "")
        assert kept(database) == {"pin-1": True, "pin-2": False}
        assert save(client, 2) == (1, ""), "it is kept already"
        save(client, 4), save(client, 3)
        assert kept(database) == {"pin-2": True, "pin-3": True, "pin-4": False}
        assert save(client, 1) == (0, ""), "three newer ones live"


def test_a_save_that_comes_late_revives_no_used_one(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        save(client, 1), save(client, 2)
        assert client.run(REMOVE([PIN[0], "failures", "trusted"], "pin-2", 10_000, "", 1)) == [[1]]
        assert client.run(REMOVE([PIN[0], "failures", "trusted"], "pin-2", 10_000, "", 1)) == [[0]]
        assert save(client, 2) == (1, "")
        assert kept(database) == {"pin-1": True}
        assert 50_000 < database.pttl(f"otp:{PIN[0]}") <= 60_000, "the other one lives"


def test_what_has_expired_makes_room(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        for order in (1, 2, 3):
            save(client, order)
        database.hset(f"otp:{PIN[0]}", "2:ends", 1)
        assert save(client, 4) == (1, "")
    assert kept(database) == {"pin-1": True, "pin-4": False, "pin-3": True}
