"""How long the provider usually takes to check a PIN, for responses that must take as long without asking it."""

import random
import time

import gevent

from otp.errors import PinGone

START = 0.2  # seconds; a worker's average until its first call has been answered
NEWEST = 0.2  # the weight of the newest call in the average
JITTER = 0.1  # a wait is longer or shorter by at most this part of it


class ResponsePadding:
    """An exponentially weighted average of the duration of this worker's answered calls.

    Args:
        longest: seconds that a wait takes at most; 0 for no waits.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._average: float | None = None

    def measured(self) -> "_Measured":
        """Measure what happens inside (`with`) as a call, if it is answered."""
        return _Measured(self)

    def add(self, seconds: float) -> None:
        """Add the duration of an answered call to the average."""
        self._average = seconds if self._average is None else self._average + NEWEST * (seconds - self._average)

    def wait(self) -> None:
        """Wait about as long as a call usually takes."""
        if self._longest:
            usual = START if self._average is None else self._average
            gevent.sleep(min(usual * random.uniform(1 - JITTER, 1 + JITTER), self._longest))


class _Measured:
    """One call. Not a generator: there is one in every verify."""

    __slots__ = ("_response_padding", "_started")

    def __init__(self, response_padding: ResponsePadding) -> None:
        self._response_padding = response_padding

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind in (None, PinGone):
            self._response_padding.add(time.monotonic() - self._started)
