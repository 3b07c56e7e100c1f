"""Sliding windows in Redis, exact in every one of them: how often something may be asked.

otp:LIMITS:LIMITER/192.0.2.1/send/5/15/minute                  list of when   lives as long as the period
otp:LIMITS:LIMITER/shop/192.0.2.1/send/5/15/minute             the same of one client app's end user
otp:LIMITS:LIMITER/{2001:db8:1}:2::/64/send/5/15/minute        the same of a /64
otp:LIMITS:LIMITER/{2001:db8:1}::/48/send/50/15/minute         and of the /48 that it is in
otp:LIMITS:LIMITER/client/send/shop/100/1/minute               and of a client app
<any of these>:given-back                                 list of when one that was taken was given back, likewise

The time is that of Redis, for the clocks of replicas differ. Raises StoreUnavailable when Redis fails: a limit that
cannot be counted refuses. This is a storage and a strategy of the `limits` library, where Flask-Limiter finds both by
their names; the library's own take two scripts for it, 70 us in Redis.
"""

import time
from collections.abc import Sequence
from itertools import compress
from typing import Any, NamedTuple

from limits import RateLimitItem
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import STRATEGIES, MovingWindowRateLimiter

from errors import StoreUnavailable
from otp.redis.client import RedisClient
from otp.redis.replies import members
from otp.redis.scripts import Command, Script

STRATEGY = "exact-window"
GIVEN_BACK = 3  # times a window's amount is given back in its period at most, so it lets four times as many be asked
_TAKE = Script("window_take")


class Window(NamedTuple):
    """A window that was asked: of how many, whether one was taken, how many are left, seconds until one leaves it."""

    amount: int
    taken: bool
    remaining: int
    wait: float
    at: int = 0  # when it was taken, by the clock of Redis (microseconds since 1970)


class Taken(NamedTuple):
    """What was taken: one of a window, or of two that share a slot and a period."""

    keys: tuple[str, ...]
    amounts: tuple[int, ...]
    period: int  # seconds
    at: int  # microseconds

    def note(self) -> Command:
        """Counts that it is given back, if that did not happen too often in its period."""
        keys = [f"{key}:given-back" for key in self.keys]
        first, *other = (GIVEN_BACK * amount for amount in self.amounts)
        return _TAKE(keys, first, self.period, 1, *other)

    def removals(self) -> list[Command]:
        """Take it out of its windows."""
        return [("LREM", key, 1, self.at) for key in self.keys]


class WindowStorage(Storage, MovingWindowSupport):
    """The library's storage, on the service's own Redis client. It has no windows but those that slide."""

    STORAGE_SCHEME = ["otp"]  # noqa: RUF012  the library declares it so

    def __init__(self, uri: str = "otp://", *, redis: RedisClient, **_: Any) -> None:
        super().__init__(uri)
        self._redis = redis

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the library may wrap; it wraps nothing where it is not told to."""
        return StoreUnavailable

    def take(self, key: str, amount: int, period: int, cost: int = 1) -> Window:
        """Take `cost` of `amount` in a window of `period` seconds, if they are there."""
        (reply,) = self._redis.run(_TAKE([key], amount, period, cost))
        taken, remaining, wait, at = members(reply, int, int, int, int)
        return _window(amount, period, taken, remaining, wait)._replace(at=at)

    def take_of_both(self, keys: tuple[str, str], amounts: tuple[int, int], period: int) -> Window:
        """Take one of each window, if it is there in both; they are of one period, and of one slot in a Cluster.

        Returns the one that has less left, and of two that are used up the one that stays so for longer.
        """
        (reply,) = self._redis.run(_TAKE(keys, amounts[0], period, 1, amounts[1]))
        taken, *told, at = members(reply, int, int, int, int, int, int)
        windows = [_window(amounts[n], period, taken, *told[2 * n : 2 * n + 2]) for n in (0, 1)]
        return min(windows, key=lambda window: (window.remaining, -window.wait))._replace(at=at)

    def give_back(self, taken: Sequence[Taken]) -> list[bool]:
        """Take these out of their windows again; False for those whose windows have given back enough lately."""
        replies = self._redis.run(*(each.note() for each in taken))
        are_back = [isinstance(reply, list) and reply[:1] == [1] for reply in replies]
        if removals := [command for each in compress(taken, are_back) for command in each.removals()]:
            self._redis.run(*removals)
        return are_back

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take `amount` of `limit`; False if they are not there."""
        return self.take(key, limit, expiry, amount).taken

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest entry (Unix seconds) and the number of entries."""
        window = self.take(key, limit, expiry, 0)
        return time.time() + window.wait - expiry, limit - window.remaining

    def check(self) -> bool:
        """Whether Redis answers."""
        return self._redis.run(("EXISTS", "LIMITS")) is not None

    def clear(self, key: str) -> None:
        """Forget what was taken."""
        self._redis.run(("DEL", key))

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Windows that do not slide would let twice the limit through at their edge."""
        raise NotImplementedError

    get = get_expiry = reset = incr  # type: ignore[assignment]


def _window(amount: int, period: int, taken: int, remaining: int, wait: int) -> Window:
    # Somebody else's times may be in the list, which make no sense.
    seconds = wait / 1_000_000 if 0 <= wait <= period * 1_000_000 else period
    return Window(amount, bool(taken), remaining, seconds)


class ExactWindows(MovingWindowRateLimiter):
    """The library's strategy, with all that a window has to say in one answer."""

    storage: WindowStorage

    def take(self, limit: RateLimitItem, *whose: str) -> Window:
        """Take one of those that `limit` lets through, if there is one."""
        return self.take_of((limit,), (key_of(limit, *whose),))[0]

    def take_of(self, limits: tuple[RateLimitItem, ...], keys: tuple[str, ...]) -> tuple[Window, Taken]:
        """Take one of those that a limit, or each of two, lets through, if all do; see the storage.

        Returns what there is to say about it, and what can be given back if it was taken.
        """
        amounts, period = tuple(limit.amount for limit in limits), limits[0].get_expiry()
        if len(keys) == 1:
            window = self.storage.take(keys[0], amounts[0], period)
        else:
            window = self.storage.take_of_both((keys[0], keys[1]), (amounts[0], amounts[1]), period)
        return window, Taken(keys, amounts, period, window.at)

    def give_back(self, taken: Sequence[Taken]) -> list[bool]:
        """Take these out of their windows again, which is counted; see the storage."""
        return self.storage.give_back(taken)


STRATEGIES[STRATEGY] = ExactWindows


def key_of(limit: RateLimitItem, *whose: str) -> str:
    """The key in Redis of what is counted by `limit`."""
    return f"LIMITS:{limit.key_for(*whose)}"
