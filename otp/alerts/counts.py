"""Events that are alarming only when they happen often: counted in the worker, summed up in Redis."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

from otp.alerts import messages
from otp.alerts.alert import Alert
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members
from otp.redis.scripts import Command, Script

# Of Rates.
MINUTES = 5  # the one that runs, and those before it
COUNTS_LIFETIME = 60 * (MINUTES + 2)  # seconds that the counts of a minute are kept
MOST_REFUSALS = 20
FEWEST_CHECKED = 100
MOST_WRONG = 30  # percent

GUARD_REFUSAL, LOCKED_OUT, RIGHT, WRONG = EVENTS = ("guard_refusal", "locked_out", "right_pin", "wrong_pin")

# Of FailedVerifies.
Kind = Literal["recipient", "address"]
HOUR = 3600  # seconds
FAILURES_LIFETIME = 2 * HOUR  # seconds that the failed verifies of an hour are kept
# In an hour. A person who mistypes gets PHONE_FAILURE_LIMIT guesses; an address may be that of a large network.
MOST: dict[Kind, int] = {"recipient": 20, "address": 60}
MOST_NAMES = 1000  # in a worker between two flushes
MOST_NAMES_IN_REDIS = 10_000
BATCH = 20  # names in one script: Redis runs nothing else meanwhile

_ADD_COUNTS, _ADD_FAILURES = Script("counts_add"), Script("failures_add")


class _Counts:
    """Counts in this worker's memory, and in nothing else until a flush."""

    def __init__(self, redis: RedisClient, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._counts: Counter[Any] = Counter()


class Rates(_Counts):
    """How often something happened in the last minutes."""

    def count(self, name: str) -> None:
        """Count one event of EVENTS."""
        self._counts[name] += 1

    def flush(self) -> list[Alert]:
        """Add the counts to those of all workers, in one round trip; returns the alerts that follow from the sums.

        Raises:
            StoreUnavailable: Redis failed; the counts are lost.
        """
        counts, self._counts = self._counts, Counter()
        minute = int(self._clock() // 60)
        added = [part for pair in counts.items() for part in pair]
        add: list[Command] = [_ADD_COUNTS([keys.counts(minute)], COUNTS_LIFETIME, *added)] if counts else []
        read = [("HMGET", keys.counts(one), *EVENTS) for one in range(minute - MINUTES + 1, minute + 1)]
        replies = self._redis.run(*add, *read)[-MINUTES:]
        by_name = zip(EVENTS, zip(*replies, strict=True), strict=True)
        return list(_alerts({name: sum(int(count or 0) for count in minutes) for name, minutes in by_name}))


def _alerts(counts: Mapping[str, int]) -> Iterator[Alert]:
    wrong, checked = counts[WRONG], counts[WRONG] + counts[RIGHT]
    if counts[GUARD_REFUSAL] > MOST_REFUSALS:
        yield messages.guard_refusals(counts[GUARD_REFUSAL], MINUTES)
    if counts[LOCKED_OUT]:
        yield messages.guesses_locked_out(counts[LOCKED_OUT], MINUTES)
    if checked >= FEWEST_CHECKED and wrong * 100 > checked * MOST_WRONG:
        yield messages.wrong_pins(wrong, checked, MINUTES)


class FailedVerifies(_Counts):
    """The failed verifies of this hour."""

    def count(self, kind: Kind, fingerprint: str, masked: str) -> None:
        """Count a failed verify. `masked` is for people."""
        name = (kind, fingerprint, masked)
        if name in self._counts or len(self._counts) < MOST_NAMES:
            self._counts[name] += 1

    def flush(self) -> list[Alert]:
        """Add the counts to those of all workers, in one round trip; returns an alert for the worst of each kind.

        Raises:
            StoreUnavailable: Redis failed; the counts are lost.
        """
        counts, self._counts = self._counts, Counter()
        if not counts:
            return []
        key, names = keys.failed_verifies(int(self._clock() // HOUR)), [*counts.items()]
        batches = [names[at : at + BATCH] for at in range(0, len(names), BATCH)]
        replies = self._redis.run(*[_add(key, batch) for batch in batches])
        totals = [members(reply, *[int] * len(batch)) for reply, batch in zip(replies, batches, strict=True)]
        sums = sorted(zip(chain.from_iterable(totals), counts, strict=True))
        worst = {kind: (total, name, masked) for total, (kind, name, masked) in sums if total > MOST[kind]}
        return [messages.failed_verifies(kind, *of) for kind, of in worst.items()]


def _add(key: str, named: Sequence[tuple[tuple[Kind, str, str], int]]) -> Command:
    added = [part for (kind, name, _), count in named for part in (f"{kind}:{name}", count)]
    return _ADD_FAILURES([key], FAILURES_LIFETIME, MOST_NAMES_IN_REDIS, *added)
