"""Sliding windows in Redis, counted by the `limits` library: the storage behind every limit.

The library's scripts are used as they are; what belongs together takes one round trip. Raises
StoreUnavailable when Redis fails: a limit that cannot be counted refuses.
"""

import threading
import time
from typing import Any

from limits.storage import RedisStorage, Storage
from redis import RedisError

from connection import Client
from store import redis_answers

ACQUIRE = RedisStorage.SCRIPT_ACQUIRE_MOVING_WINDOW.decode()
ACQUIRE_SLIDING = RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW.decode()
_LOOK_SLIDING = RedisStorage.SCRIPT_SLIDING_WINDOW.decode()
_ACQUIRE_AND_LOOK = f"""
local acquired = (function(ARGV) {ACQUIRE} end)(ARGV)
local window = (function(ARGV) {RedisStorage.SCRIPT_MOVING_WINDOW.decode()} end)({{ARGV[1] - ARGV[3], ARGV[2]}})
return {{acquired, window or false}}
"""


class WindowStorage(RedisStorage):
    """The library's storage, on the service's own Redis client.

    Flask-Limiter asks for an entry and then, for the headers, for the state of the same window. Both are
    read in the first round trip; the state waits for the question in a thread-local.
    """

    STORAGE_SCHEME = ["otp"]  # noqa: RUF012  the library declares it so

    def __init__(self, uri: str = "otp://", *, client: Client, **_: Any) -> None:
        Storage.__init__(self, uri)
        self.client = self.storage = client
        self.key_prefix = self.PREFIX
        self._asked = threading.local()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the library may wrap; StoreUnavailable goes through as it is."""
        return RedisError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take an entry of a moving window of `expiry` seconds; False if `limit` of them are taken."""
        now = time.time()
        name = self.prefixed_key(key)
        with redis_answers():
            acquired, window = self.client.eval(_ACQUIRE_AND_LOOK, 1, name, now, limit, expiry, amount)
        self._asked.window = (float(window[0]), int(window[1])) if window else (now, 0)
        return bool(acquired)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest entry (Unix seconds) and the number of entries: of the window just asked."""
        window: tuple[float, int] = self._asked.window
        return window

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Counts and seconds left of the previous and the current window."""
        with redis_answers():
            before, before_left, now, now_left = self.client.eval(_LOOK_SLIDING, 2, *self.sliding_keys(key), expiry)
        return int(before or 0), max(0, before_left) / 1000, int(now or 0), max(0, now_left) / 1000

    def sliding_keys(self, key: str) -> tuple[str, str]:
        """The keys of the previous and the current window that ACQUIRE_SLIDING takes."""
        return self.prefixed_key(self._previous_window_key(key)), self.prefixed_key(self._current_window_key(key))
