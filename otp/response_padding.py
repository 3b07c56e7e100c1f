"""How long Infobip usually takes to judge a PIN, for answers that shall take as long without asking it."""

import random
import time

import gevent

from otp.errors import PinGone

START = 0.2  # seconds; what a worker supposes until its first call has been answered
NEWEST = 0.2  # the weight of the newest call in the average
JITTER = 0.1  # a pause is longer or shorter by at most this part of it


class ResponsePadding:
    """An exponentially weighted average of this worker's answered calls.

    Args:
        longest: seconds that a pause takes at most; 0 for no pauses.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._average: float | None = None

    def measured(self) -> "_Measured":
        """Count what happens inside (`with`) as a call, if it was answered."""
        return _Measured(self)

    def add(self, seconds: float) -> None:
        """A call was answered after so many."""
        self._average = seconds if self._average is None else self._average + NEWEST * (seconds - self._average)

    def pause(self) -> None:
        """Wait as long as a call usually takes, more or less."""
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
