"""Which of two sends was the later one, where the clock of Redis is put back: a save that comes late depends on it."""

import redis

from otp.redis.client import connect
from otp.redis.scripts import Script

RESERVE = Script("recipient_reserve")
SAVE = Script("pin_save")
KEYS = ["{otp:phoneNumber:+14155552671}:cooldown", "{otp:phoneNumber:+14155552671}:sent"]
PIN = ["otp:phoneNumber:+14155552671"]
AHEAD = 3600 * 1_000_000  # microseconds


def test_a_clock_that_is_put_back_makes_no_send_an_earlier_one(database: redis.Redis, redis_url: str) -> None:
    seconds, micros = database.time()
    later = seconds * 1_000_000 + micros + AHEAD
    database.lpush(KEYS[1], later)  # what another server wrote, whose clock was an hour ahead
    database.expire(KEYS[1], 60)
    with connect(redis_url) as client:
        for send in ("one", "two"):
            ((wait, _, order),) = client.run(RESERVE(KEYS, 5, 86400, send, 30_000))
            assert wait == 0
            assert order > later
            later = order
            client.run(("DEL", KEYS[0]))


def test_the_later_of_two_saves_stays(database: redis.Redis, redis_url: str) -> None:
    with connect(redis_url) as client:
        assert client.run(SAVE(PIN, 60_000, 2, "pinId", "newer", "verification", "b")) == [[1, ""]]
        assert client.run(SAVE(PIN, 60_000, 1, "pinId", "older", "verification", "a")) == [[0, ""]]
        assert database.hget(PIN[0], "pinId") == "newer"
        assert client.run(SAVE(PIN, 60_000, 3, "pinId", "newest", "verification", "c")) == [[1, "b"]]
