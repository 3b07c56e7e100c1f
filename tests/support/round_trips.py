"""How many round trips to Redis a call takes."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import redis


def round_trips(database: redis.Redis, do: Callable[[Any], object], arguments: Iterable[Any]) -> float:
    """Return how many reads of the server a call of `do` takes: the median over all `arguments`.

    The mean would include the reads of other services, which use this server in the background now and then.
    """
    counts = []
    for argument in arguments:
        before = _reads(database)
        do(argument)
        counts.append(_reads(database) - before - 1)  # the server reads this command, too
    return median(counts)


def _reads(database: redis.Redis) -> int:
    return int(database.info("stats")["total_reads_processed"])
