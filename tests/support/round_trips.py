"""How many round trips to Redis something takes."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import redis


def round_trips(database: redis.Redis, do: Callable[[Any], object], arguments: Iterable[Any]) -> float:
    """Return how many reads of the server a call of `do` takes: the median over all `arguments`.

    Its mean would have what other services at this server read in the background now and then.
    """
    counts = []
    for argument in arguments:
        before = _reads(database)
        do(argument)
        counts.append(_reads(database) - before - 1)  # this one is read, too
    return median(counts)


def _reads(database: redis.Redis) -> int:
    return int(database.info("stats")["total_reads_processed"])
