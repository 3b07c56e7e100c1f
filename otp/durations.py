"""The formats of durations (`10m`, at Infobip and in settings) and of limits at Infobip (`5/1d`)."""

import re
from typing import NamedTuple

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}  # in milliseconds; the longest is the first


def seconds(text: str) -> float:
    """Parse `{timeLength}{timeUnit}`; without a length it is 1.

    Raises:
        ValueError: the text is not a duration, or is zero.
    """
    match = re.fullmatch("([0-9]{0,9})(ms|s|m|h|d)", text)
    if not match or not (length := int(match[1] or 1)):
        raise ValueError("must be a duration like 30s, 10m or 1d")
    return length * _UNITS[match[2]] / 1000


def duration(seconds: float) -> str:
    """Format a duration of whole milliseconds in the longest unit that divides it."""
    length = _milliseconds(seconds)
    unit = next(unit for unit, size in _UNITS.items() if length % size == 0)
    return f"{length // _UNITS[unit]}{unit}"


class Rate(NamedTuple):
    """`attempts` per `period` of seconds; its format is `{attempts}/{timeLength}{timeUnit}`."""

    attempts: int
    period: float

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Parse `3/1d`.

        Raises:
            ValueError: the text has another form.
        """
        match = re.fullmatch("([0-9]{1,9})/(.*)", text)
        if not match:
            raise ValueError("must be a limit like 3/1d")
        return cls(int(match[1]), seconds(match[2]))

    def __str__(self) -> str:
        return f"{self.attempts}/{duration(self.period)}"

    def plus(self, other: "Rate") -> "Rate":
        """A rate that allows what both rates allow together, in the longer of their periods."""
        short, long = sorted((self, other), key=lambda rate: rate.period)
        periods = -(-_milliseconds(long.period) // _milliseconds(short.period))
        return Rate(long.attempts + short.attempts * periods, long.period)

    def is_tighter_than(self, other: "Rate") -> bool:
        """Whether it can refuse requests that `other` allows: in the periods of `other` that overlap one of its own."""
        periods = -(-_milliseconds(self.period) // _milliseconds(other.period))
        return self.attempts < other.attempts * periods


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
