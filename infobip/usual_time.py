"""How long Infobip usually takes to judge a PIN, for answers that shall take as long without asking it."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent

START = 0.2  # seconds; what a worker supposes until its first call has been answered
NEWEST = 0.2  # the weight of the newest call in the average
JITTER = 0.1  # a pause is longer or shorter by at most this part of it


class UsualTime:
    """An exponentially weighted average of this worker's answered calls.

    Args:
        longest: seconds that a pause takes at most; 0 for no pauses.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._average: float | None = None

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count what happens inside as a call, if it was answered."""
        started = time.monotonic()
        yield
        taken = time.monotonic() - started
        self._average = taken if self._average is None else self._average + NEWEST * (taken - self._average)

    def pause(self) -> None:
        """Wait as long as a call usually takes, more or less."""
        if self._longest:
            usual = START if self._average is None else self._average
            gevent.sleep(min(usual * random.uniform(1 - JITTER, 1 + JITTER), self._longest))
