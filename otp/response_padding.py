"""Delays responses that do not ask Infobip by the time that it usually takes to check a PIN."""

import random
import time

import gevent

from otp.errors import PinGone

START = 0.2  # seconds; the assumption of a worker before its first response
NEWEST = 0.2  # the weight of the latest call in the average
JITTER = 0.1  # a delay varies by at most this part of it


class ResponsePadding:
    """Keeps an exponentially weighted average of the durations of this worker's calls.

    Args:
        longest: the longest delay in seconds; 0 for no delays.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._average: float | None = None

    def measure(self) -> "_Measurement":
        """Measure the call inside (`with`), if Infobip responds."""
        return _Measurement(self)

    def add(self, seconds: float) -> None:
        """Add the duration of a call to the average."""
        self._average = seconds if self._average is None else self._average + NEWEST * (seconds - self._average)

    def wait(self) -> None:
        """Wait about as long as a call usually takes."""
        if self._longest:
            usual = START if self._average is None else self._average
            gevent.sleep(min(usual * random.uniform(1 - JITTER, 1 + JITTER), self._longest))


class _Measurement:
    """One call. It is not a generator, because each verify needs one."""

    __slots__ = ("_response_padding", "_started")

    def __init__(self, response_padding: ResponsePadding) -> None:
        self._response_padding = response_padding

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind in (None, PinGone):
            self._response_padding.add(time.monotonic() - self._started)
