"""How often: sliding windows in Redis for an address, a phone and the day, counted by the `limits` library.

The library's scripts are used as they are; what this module adds is that what belongs together takes one
round trip. Raises StoreUnavailable when Redis fails: a limit that cannot be counted refuses.
"""

import math
import threading
import time
from typing import Any

from limits import RateLimitItem
from limits.storage import RedisStorage, Storage
from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from redis import RedisError

from connection import Client
from errors import TooManyRequests
from store import redis_answers

_ACQUIRE = RedisStorage.SCRIPT_ACQUIRE_MOVING_WINDOW.decode()
_ACQUIRE_TOTAL = RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW.decode()
_ACQUIRE_AND_LOOK = f"""
local acquired = (function(ARGV) {_ACQUIRE} end)(ARGV)
local window = (function(ARGV) {RedisStorage.SCRIPT_MOVING_WINDOW.decode()} end)({{ARGV[1] - ARGV[3], ARGV[2]}})
return {{acquired, window or false}}
"""
_UNCOUNT_ENTRY = "redis.call('LPOP', KEYS[1])"
_UNCOUNT_TOTAL = "if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end"


class WindowStorage(RedisStorage):
    """The storage behind Flask-Limiter and `SendQuotas`, on the service's own Redis client.

    Flask-Limiter asks for an entry and then, for the headers, for the state of the same window. Both are
    read in the first round trip; the state waits for the question in a thread-local.
    """

    STORAGE_SCHEME = ["otp"]  # noqa: RUF012  the library declares it so

    def __init__(self, uri: str = "otp://", *, client: Client, **_: Any) -> None:
        Storage.__init__(self, uri)
        self.client = self.storage = client
        self.key_prefix = self.PREFIX
        self.initialize_storage(uri)
        self._asked = threading.local()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the library may wrap; StoreUnavailable goes through as it is."""
        return RedisError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take an entry of a moving window of `expiry` seconds; False if `limit` of them are taken."""
        now = time.time()
        with redis_answers():
            acquired, window = self.client.eval(
                _ACQUIRE_AND_LOOK, 1, self.prefixed_key(key), now, limit, expiry, amount
            )
        self._asked.window = (key, (float(window[0]), int(window[1])) if window else (now, 0))
        return bool(acquired)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the window's oldest entry (Unix seconds) and the number of entries in it."""
        asked: tuple[str, tuple[float, int]] | None = self._asked.__dict__.pop("window", None)
        if asked and asked[0] == key:
            return asked[1]
        with redis_answers():
            return super().get_moving_window(key, limit, expiry)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Counts and seconds left of the previous and the current window."""
        with redis_answers():
            return super().get_sliding_window(key, expiry)


class SendQuotas:
    """How many SMS one phone and the whole service may send. Counts only what may have gone out."""

    def __init__(self, client: Client, per_phone: RateLimitItem, total: RateLimitItem) -> None:
        self._storage = WindowStorage(client=client)
        self._per_phone = per_phone
        self._total = total

    def take(self, phone: str) -> None:
        """Count one send to `phone`. One round trip if it is allowed.

        Raises:
            TooManyRequests: the phone's limit (exact in every window) or the day's (a sliding count).
        """
        phone_key, total_keys = self._keys(phone)
        with redis_answers():
            pipe = self._storage.client.pipeline(transaction=False)
            # A Cluster's pipeline takes EVAL only by its name.
            pipe.execute_command("EVAL", _ACQUIRE, 1, phone_key, time.time(), *_size(self._per_phone), 1)
            pipe.execute_command("EVAL", _ACQUIRE_TOTAL, 2, *total_keys, *_size(self._total), 1)
            phone_has_room, day_has_room = pipe.execute()
        if not (phone_has_room and day_has_room):
            self._uncount(phone, entry=bool(phone_has_room), total=bool(day_has_room))
            raise TooManyRequests(self._wait(phone, phone_full=not phone_has_room))

    def give_back(self, phone: str) -> None:
        """Uncount the send that the holder of the phone's cooldown has just taken."""
        self._uncount(phone, entry=True, total=True)

    def _uncount(self, phone: str, *, entry: bool, total: bool) -> None:
        phone_key, total_keys = self._keys(phone)
        with redis_answers():
            if entry:
                self._storage.client.eval(_UNCOUNT_ENTRY, 1, phone_key)
            if total:
                self._storage.client.eval(_UNCOUNT_TOTAL, 1, total_keys[1])

    def _wait(self, phone: str, *, phone_full: bool) -> float:
        if phone_full:
            window = MovingWindowRateLimiter(self._storage).get_window_stats(self._per_phone, "phone", phone)
        else:
            window = SlidingWindowCounterRateLimiter(self._storage).get_window_stats(self._total, "total")
        return seconds_until(window.reset_time)

    def _keys(self, phone: str) -> tuple[str, tuple[str, str]]:
        storage, day = self._storage, self._total.key_for("total")
        return storage.prefixed_key(self._per_phone.key_for("phone", phone)), (
            storage.prefixed_key(storage._previous_window_key(day)),
            storage.prefixed_key(storage._current_window_key(day)),
        )


def seconds_until(moment: float) -> int:
    """Whole seconds until `moment` (Unix seconds) has certainly passed; at least 1."""
    return max(1, math.floor(moment - time.time()) + 1)


def _size(limit: RateLimitItem) -> tuple[int, int]:
    return limit.amount, limit.get_expiry()
