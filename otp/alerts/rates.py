"""Events that are alarming only when they happen often: counted in the worker, summed up in Redis."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from otp.alerts import messages
from otp.alerts.alert import Alert
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.scripts import Command, Script

MINUTES = 5  # the one that runs, and those before it
LIFETIME = 60 * (MINUTES + 2)  # seconds that the counts of a minute are kept
MOST_REFUSALS = 20
FEWEST_CHECKED = 100
MOST_WRONG = 30  # percent

GUARD_REFUSAL, LOCKED_OUT, RIGHT, WRONG = NAMES = ("guard_refusal", "locked_out", "right_pin", "wrong_pin")

_ADD = Script("counts_add")


class Rates:
    """How often something happened in the last minutes. Counting touches nothing but this worker's memory."""

    def __init__(self, redis: RedisClient, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._counts: Counter[str] = Counter()

    def count(self, name: str) -> None:
        """Count one event of NAMES."""
        self._counts[name] += 1

    def flush(self) -> list[Alert]:
        """Add the counts to those of all workers, in one round trip; returns the alerts that follow from the sums.

        Raises:
            StoreUnavailable: Redis failed; the counts are lost.
        """
        counts, self._counts = self._counts, Counter()
        minute = int(self._clock() // 60)
        added = [part for pair in counts.items() for part in pair]
        add: list[Command] = [_ADD([keys.counts(minute)], LIFETIME, *added)] if counts else []
        read = [("HMGET", keys.counts(one), *NAMES) for one in range(minute - MINUTES + 1, minute + 1)]
        replies = self._redis.run(*add, *read)[-MINUTES:]
        by_name = zip(NAMES, zip(*replies, strict=True), strict=True)
        return list(_alerts({name: sum(int(count or 0) for count in minutes) for name, minutes in by_name}))


def _alerts(counts: Mapping[str, int]) -> Iterator[Alert]:
    wrong, checked = counts[WRONG], counts[WRONG] + counts[RIGHT]
    if counts[GUARD_REFUSAL] > MOST_REFUSALS:
        yield messages.guard_refusals(counts[GUARD_REFUSAL], MINUTES)
    if counts[LOCKED_OUT]:
        yield messages.guesses_locked_out(counts[LOCKED_OUT], MINUTES)
    if checked >= FEWEST_CHECKED and wrong * 100 > checked * MOST_WRONG:
        yield messages.wrong_pins(wrong, checked, MINUTES)
