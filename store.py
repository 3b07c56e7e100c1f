"""The only module that knows what lies in Redis. Verbs of the domain, each one atomic step on one key.

    otp:phoneNumber:+14155552671   hash  pinId, attempts   lives as long as the PIN
    otp:cooldown:+14155552671      the id of the send that holds it   lives as long as the cooldown

Every verb raises StoreUnavailable when Redis does not answer, or answers with an error.
"""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import RedisError

from connection import Client
from errors import StoreUnavailable, TooManyRequests

log = logging.getLogger("otp.redis")

# Scripts go out whole (EVAL): Redis keeps them compiled by their hash, and neither a restart, a failover
# nor SCRIPT FLUSH can take them away.
RESERVE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return redis.call('PTTL', KEYS[1])
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
SAVE = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'pinId', ARGV[1], 'attempts', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
ATTEMPT = """
local pin = redis.call('HMGET', KEYS[1], 'pinId', 'attempts')
if not pin[1] or tonumber(pin[2]) >= tonumber(ARGV[1]) then return false end
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
return pin[1]
"""
GIVE_BACK = """
if redis.call('HGET', KEYS[1], 'pinId') == ARGV[1] then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
"""
CONSUME = """
if redis.call('HGET', KEYS[1], 'pinId') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


@contextmanager
def redis_answers() -> Iterator[None]:
    """Turn whatever Redis fails with into StoreUnavailable."""
    try:
        yield
    except (RedisError, OSError, UnicodeError) as e:
        log.error("Redis failed: %s", type(e).__name__)
        raise StoreUnavailable(retry_after=1) from e


class Store:
    """Which Infobip PIN belongs to which phone, and which phones are cooling down."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def reserve(self, phone: str, cooldown: float) -> str:
        """Take the cooldown of `phone` for `cooldown` seconds; returns the id that releases it.

        Raises:
            TooManyRequests: somebody holds it, for `retry_after` seconds more.
        """
        reservation = secrets.token_hex(8)
        left = self._eval(RESERVE, f"otp:cooldown:{phone}", reservation, _milliseconds(cooldown))
        if left is not None:
            raise TooManyRequests(retry_after=left / 1000)
        return reservation

    def release(self, phone: str, reservation: str) -> None:
        """End a cooldown that this `reservation` holds."""
        self._eval(RELEASE, f"otp:cooldown:{phone}", reservation)

    def save(self, phone: str, pin_id: str, lifetime: float) -> None:
        """Make `pin_id` the one PIN of `phone` for `lifetime` seconds, with no guess used."""
        self._eval(SAVE, _pin_key(phone), pin_id, _milliseconds(lifetime))

    def attempt(self, phone: str, max_attempts: int) -> str | None:
        """Count one guess and return the PIN's id; None without a PIN or a guess left."""
        pin_id: str | None = self._eval(ATTEMPT, _pin_key(phone), max_attempts)
        return pin_id

    def give_back(self, phone: str, pin_id: str) -> None:
        """Uncount one guess, if `pin_id` is still the phone's PIN."""
        self._eval(GIVE_BACK, _pin_key(phone), pin_id)

    def consume(self, phone: str, pin_id: str) -> bool:
        """Use the PIN up. True for exactly one caller."""
        return bool(self._eval(CONSUME, _pin_key(phone), pin_id))

    def ping(self) -> None:
        """Return if Redis answers."""
        with redis_answers():
            self._client.ping()

    def _eval(self, script: str, key: str, *arguments: str | int) -> Any:
        with redis_answers():
            return self._client.eval(script, 1, key, *arguments)


def _pin_key(phone: str) -> str:
    return f"otp:phoneNumber:{phone}"


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
