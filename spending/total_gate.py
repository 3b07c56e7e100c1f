"""The gate that everybody shares: how many SMS are sent in all. Counted in constant memory."""

import time
from typing import Any

from limits import RateLimitItem
from limits.strategies import SlidingWindowCounterRateLimiter

from errors import TooManyRequests
from otp.redis.client import RedisClient
from otp.redis.replies import members
from otp.redis.scripts import Command, Script
from spending.sending import Sending
from spending.windows import ACQUIRE_SLIDING, WindowStorage

_UNCOUNT = Script("", "if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end")


class TotalGate:
    """Lets so many sends through. `name` tells its count from another's, `reason` its refusal."""

    def __init__(
        self, redis: RedisClient, limit: RateLimitItem, name: str = "total", reason: str = "total_limit"
    ) -> None:
        self._limit, self._name = limit, name
        self._reason = reason
        self._storage = WindowStorage(redis=redis)
        self._keys = self._storage.sliding_keys(limit.key_for(name))

    def ask(self, sending: Sending) -> list[Command]:
        """Count."""
        return [ACQUIRE_SLIDING(self._keys, self._limit.amount, self._limit.get_expiry(), 1)]

    def hear(self, replies: list[Any], sending: Sending) -> TooManyRequests | None:
        """A refusal has the seconds until the window has room."""
        if members(replies[0], int) == [1]:
            return None
        window = SlidingWindowCounterRateLimiter(self._storage).get_window_stats(self._limit, self._name)
        return TooManyRequests(window.reset_time - time.time(), self._reason)

    def undo(self, sending: Sending) -> list[Command]:
        """Uncount."""
        return [_UNCOUNT(self._keys[1:])]
