"""Sliding windows in Redis, counted by the `limits` library: the storage behind every limit.

The library's scripts are used as they are; what belongs together takes one round trip. The time is that of Redis, for
the clocks of replicas differ. Raises StoreUnavailable when Redis fails: a limit that cannot be counted refuses.
"""

import threading
import time
from typing import Any

from limits.storage import RedisStorage, Storage

from errors import StoreUnavailable
from otp.redis.client import RedisClient
from otp.redis.replies import members
from otp.redis.scripts import Script

NOW = "local time = redis.call('TIME') local now = time[1] + time[2] / 1000000"
ACQUIRE = RedisStorage.SCRIPT_ACQUIRE_MOVING_WINDOW.decode()
ACQUIRE_SLIDING = Script(
    "", f"return {{(function() {RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW.decode()} end)() and 1 or 0}}"
)
_LOOK_SLIDING = Script(
    "",
    f"""
local window = (function() {RedisStorage.SCRIPT_SLIDING_WINDOW.decode()} end)()
return {{tonumber(window[1] or 0), window[2], tonumber(window[3] or 0), window[4]}}
""",
)
# Answers whether there was room, the age of the oldest entry in milliseconds, and the number of entries.
_ACQUIRE_AND_LOOK = Script(
    "",
    f"""
{NOW}
local acquired = (function(ARGV) {ACQUIRE} end)({{now, ARGV[1], ARGV[2], ARGV[3]}})
local window = (function(ARGV) {RedisStorage.SCRIPT_MOVING_WINDOW.decode()} end)({{now - ARGV[2], ARGV[1]}})
return {{acquired and 1 or 0, window and (now - window[1]) * 1000 or 0, window and window[2] or 0}}
""",
)


class WindowStorage(RedisStorage):
    """The library's storage, on the service's own Redis client.

    Flask-Limiter asks for an entry and then, for the headers, for the state of the same window. Both are
    read in the first round trip; the state waits for the question in a thread-local.
    """

    STORAGE_SCHEME = ["otp"]  # noqa: RUF012  the library declares it so

    def __init__(self, uri: str = "otp://", *, redis: RedisClient, **_: Any) -> None:
        Storage.__init__(self, uri)
        self._redis = redis
        self.key_prefix = self.PREFIX
        self._asked = threading.local()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What Redis fails with."""
        return StoreUnavailable

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take an entry of a moving window of `expiry` seconds; False if `limit` of them are taken."""
        (reply,) = self._redis.run(_ACQUIRE_AND_LOOK([self.prefixed_key(key)], limit, expiry, amount))
        acquired, age, entries = members(reply, int, int, int)
        self._asked.window = (time.time() - age / 1000, entries)
        return bool(acquired)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest entry (Unix seconds) and the number of entries: of the window just asked."""
        window: tuple[float, int] = self._asked.window
        return window

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Counts and seconds left of the previous and the current window."""
        (reply,) = self._redis.run(_LOOK_SLIDING(self.sliding_keys(key), expiry))
        before, before_left, now, now_left = members(reply, int, int, int, int)
        return before, max(0, before_left) / 1000, now, max(0, now_left) / 1000

    def sliding_keys(self, key: str) -> tuple[str, str]:
        """The keys of the previous and the current window that ACQUIRE_SLIDING takes."""
        return self.prefixed_key(self._previous_window_key(key)), self.prefixed_key(self._current_window_key(key))
