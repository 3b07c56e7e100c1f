"""Sends keep their order even if the clock of Redis is set back, because a save that comes late depends on it."""

from typing import Any

import redis

from otp.redis.client import RedisClient, connect
from otp.redis.scripts import Script

RESERVE = Script("recipient_reserve")
SAVE = Script("pin_save")
CONSUME, DROP, COUNT_RESEND = Script("pin_consume"), Script("pin_drop"), Script("pin_count_resend")
KEYS = [f"{{phoneNumber:+14155552671}}:{name}" for name in ("cooldown", "sent", "sent:0123456789ab", "trusted")]
SENT = "{otp:phoneNumber:+14155552671}:sent"  # the whole key in Redis
PIN = ["phoneNumber:+14155552671"]
AHEAD = 3600 * 1_000_000  # microseconds


def test_a_new_send_is_the_latest_even_if_the_clock_was_set_back(database: redis.Redis, redis_url: str) -> None:
    seconds, micros = database.time()
    later = seconds * 1_000_000 + micros + AHEAD
    database.lpush(SENT, later)  # another server wrote it by a clock that was an hour ahead
    database.expire(SENT, 60)
    with connect(redis_url) as client:
        for send in ("one", "two"):
            ((wait, _, order, _),) = client.run(RESERVE(KEYS, send, 30_000, "0123456789ab", 3600, 5, 2, 86400))
            assert wait == 0
            assert order > later
            later = order
            client.run(("DEL", KEYS[0]))


def save(client: RedisClient, order: int, client_app: str = "") -> tuple[int, str]:
    """Save the PIN `pin-<order>` with the id `id-<order>`; return whether it is saved, and the id that it replaced."""
    fields = ("pinId", f"pin-{order}", "verification", f"id-{order}")
    ((saved, gone),) = client.run(SAVE(PIN, 60_000, order, client_app, *fields))
    return saved, gone


def stored_pins(database: redis.Redis) -> dict[str, bool]:
    """Return the stored PINs, and whether each can be verified only by its id."""
    known: dict[Any, Any] = database.hgetall(f"otp:{PIN[0]}")
    places = [name.removesuffix("pinId") for name in known if name.endswith("pinId")]
    return {known[f"{place}pinId"]: f"{place}older" in known for place in places}


def test_three_pins_are_valid_at_once_and_a_fourth_replaces_the_oldest(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        assert [save(client, order) for order in (1, 2, 3)] == [(1, "")] * 3
        assert save(client, 4) == (1, "id-1")
        assert save(client, 5) == (1, "id-2")
    assert stored_pins(database) == {"pin-3": True, "pin-4": True, "pin-5": False}


def test_each_client_app_has_its_newest_pin(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        for order, client_app in enumerate(["shop", "bank", "shop"], 1):
            save(client, order, client_app)
    assert stored_pins(database) == {"pin-1": True, "pin-2": False, "pin-3": False}


def test_a_late_save_does_not_become_the_newest_pin(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        assert save(client, 2) == (1, "")
        assert save(client, 1) == (1, "")
        assert stored_pins(database) == {"pin-1": True, "pin-2": False}
        assert save(client, 2) == (1, ""), "it is kept already"
        save(client, 4), save(client, 3)
        assert stored_pins(database) == {"pin-2": True, "pin-3": True, "pin-4": False}
        assert save(client, 1) == (0, ""), "three newer ones live"


def test_a_late_save_does_not_revive_a_used_pin(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        save(client, 1), save(client, 2)
        assert client.run(CONSUME([PIN[0], "failures", "trusted"], "pin-2", 10_000, "-", 1)) == [[1]]
        assert client.run(CONSUME([PIN[0], "failures", "trusted"], "pin-2", 10_000, "-", 1)) == [[0]]
        assert save(client, 2) == (1, "")
        assert stored_pins(database) == {"pin-1": True}
        assert 50_000 < database.pttl(f"otp:{PIN[0]}") <= 60_000, "the other one lives"


def test_a_dropped_pin_is_not_found_and_can_be_consumed(database: redis.Redis, redis_url: str) -> None:
    """Infobip does not know a PIN any more that another request has just verified."""
    used = [PIN[0], "failures", "trusted"]
    with connect(redis_url) as client:
        for order in (1, 2, 3):
            save(client, order)
        assert client.run(DROP(PIN, "pin-2"), DROP(PIN, "pin-2"), DROP(PIN, "pin-9")) == [[1], [0], [0]]
        assert client.run(COUNT_RESEND(PIN, "pin-2", "")) == [[0]]
        assert save(client, 4) == (1, ""), "it takes no place of a PIN that can be verified"
        assert client.run(*[CONSUME(used, "pin-2", 10_000, "-", 1)] * 2) == [[1], [0]]
        assert save(client, 2) == (1, ""), "a late save does not revive it"
    assert stored_pins(database) == {"pin-1": True, "pin-3": True, "pin-4": False}


def test_an_expired_pin_is_replaced_first(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        for order in (1, 2, 3):
            save(client, order)
        database.hset(f"otp:{PIN[0]}", "2:ends", 1)
        assert save(client, 4) == (1, "")
    assert stored_pins(database) == {"pin-1": True, "pin-4": False, "pin-3": True}
