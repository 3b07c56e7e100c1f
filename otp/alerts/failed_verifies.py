"""Failed verifies at one recipient, or from one address: counted in the worker, summed up in Redis."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Literal

from otp.alerts import messages
from otp.alerts.alert import Alert
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members
from otp.redis.scripts import Command, Script

Kind = Literal["recipient", "address"]
HOUR = 3600  # seconds
LIFETIME = 2 * HOUR  # seconds that the counts of an hour are kept
# In an hour. A person who mistypes gets PHONE_FAILURE_LIMIT guesses; an address may be that of a large network.
MOST: dict[Kind, int] = {"recipient": 20, "address": 60}
MOST_NAMES = 1000  # in a worker between two flushes
MOST_NAMES_IN_REDIS = 10_000
BATCH = 20  # names in one script: Redis runs nothing else meanwhile

_ADD = Script("failures_add")


class FailedVerifies:
    """The failed verifies of this hour. Counting touches nothing but this worker's memory."""

    def __init__(self, redis: RedisClient, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._counts: Counter[tuple[Kind, str, str]] = Counter()

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
    return _ADD([key], LIFETIME, MOST_NAMES_IN_REDIS, *added)
