"""Rate limits in Redis by sliding windows, exact at every moment.

The time is that of Redis, for the clocks of replicas differ. Raises StoreUnavailable when Redis fails: a limit that
cannot be counted refuses. This is a storage and a strategy of the `limits` library, where Flask-Limiter finds both by
their names; the library's own need two scripts, and 70 us in Redis.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from limits import RateLimitItem
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import STRATEGIES, MovingWindowRateLimiter

from otp.errors import StoreUnavailable
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members
from otp.redis.scripts import Command, Script

STRATEGY = "exact-window"
MAX_GIVEN_BACK = 3  # a window gives back at most this many times its amount per period; so four times as many may ask
_TAKE = Script("window_take")
_GIVE_BACK = Script("window_give_back")


class Window(NamedTuple):
    """What a window says: its amount, its period in seconds, whether one was taken, how many are left, and the seconds
    until one leaves it.
    """

    amount: int
    period: int
    taken: bool
    remaining: int
    wait: float
    to_give_back: Command = ()  # the command that gives back what was taken


class WindowStorage(Storage, MovingWindowSupport):
    """The library's storage with the service's own Redis client. It has only sliding windows."""

    STORAGE_SCHEME = ["otp"]  # noqa: RUF012  the library declares it so

    def __init__(self, uri: str = "otp://", *, redis: RedisClient, **_: Any) -> None:
        super().__init__(uri)
        self._redis = redis

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors that the library wraps, if it is configured to."""
        return StoreUnavailable

    def take(self, key: str, amount: int, period: int, cost: int = 1) -> Window:
        """Take `cost` of `amount` in a window of `period` seconds, if so many are left."""
        (reply,) = self._redis.run(_TAKE([key], amount, period, cost))
        taken, remaining, wait, at = members(reply, int, int, int, int)
        return _window(amount, period, taken, remaining, wait)._replace(to_give_back=_back(at, period, {key: amount}))

    def take_of_both(self, keys: tuple[str, str], amounts: tuple[int, int], period: int) -> Window:
        """Take one of each window, if both have one left. Their keys are in one slot of a Cluster.

        Returns the window that has less left; if both are used up, the one that stays so for longer.
        """
        (reply,) = self._redis.run(_TAKE(keys, amounts[0], period, 1, amounts[1]))
        taken, *states, at = members(reply, int, int, int, int, int, int)
        windows = [_window(amounts[n], period, taken, *states[2 * n : 2 * n + 2]) for n in (0, 1)]
        tighter = min(windows, key=lambda window: (window.remaining, -window.wait))
        return tighter._replace(to_give_back=_back(at, period, dict(zip(keys, amounts, strict=True))))

    def give_back(self, taken: Sequence[Command]) -> list[bool]:
        """Run these commands in one round trip; False for each window that has given back its maximum lately."""
        return [reply == 1 for reply in self._redis.run(*taken)]

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take `amount` of `limit`; False if so many are not left."""
        return self.take(key, limit, expiry, amount).taken

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest entry (Unix seconds) and the number of entries."""
        window = self.take(key, limit, expiry, 0)
        return time.time() + window.wait - expiry, limit - window.remaining

    def check(self) -> bool:
        """Whether Redis answers."""
        return self._redis.run(("EXISTS", keys.READY)) is not None

    def clear(self, key: str) -> None:
        """Delete the window."""
        self._redis.run(("DEL", key))

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not used: fixed windows would let twice the limit through around their ends."""
        raise NotImplementedError

    get = get_expiry = reset = incr  # type: ignore[assignment]


def _back(at: int, period: int, amounts: dict[str, int]) -> Command:
    """The command that gives back what was taken at `at` (microseconds); `amounts` by the windows' keys."""
    refunds = map(keys.refunds, amounts)
    return _GIVE_BACK([*amounts, *refunds], at, period, *(MAX_GIVEN_BACK * amount for amount in amounts.values()))


def _window(amount: int, period: int, taken: int, remaining: int, wait: int) -> Window:
    # Other programs may have written into the list.
    seconds = wait / 1_000_000 if 0 <= wait <= period * 1_000_000 else period
    return Window(amount, period, bool(taken), remaining, seconds)


class ExactWindows(MovingWindowRateLimiter):
    """The library's strategy, with the whole state of a window in one reply."""

    storage: WindowStorage

    def take(self, limit: RateLimitItem, *counted_by: str) -> Window:
        """Take one of `limit`, if one is left. `counted_by` are the parts of its key."""
        return self.storage.take(keys.rate_limit(limit, *counted_by), limit.amount, limit.get_expiry())

    def take_of_both(self, limits: tuple[RateLimitItem, RateLimitItem], keys: tuple[str, str]) -> Window:
        """Take one of each of two limits, if both have one left; see the storage."""
        one, other = limits
        return self.storage.take_of_both(keys, (one.amount, other.amount), one.get_expiry())


STRATEGIES[STRATEGY] = ExactWindows
