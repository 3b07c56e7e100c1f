"""How durations and limits are written: at Infobip, and for durations in our settings too. `10m`, `5/1d`."""

import re
from typing import NamedTuple

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}  # in milliseconds, the longest first


def seconds(text: str) -> float:
    """Read `{timeLength}{timeUnit}`; the length may be left out and is then 1.

    Raises:
        ValueError: it is no duration, or none that lasts.
    """
    written = re.fullmatch("([0-9]{0,9})(ms|s|m|h|d)", text)
    if not written or not (length := int(written[1] or 1)):
        raise ValueError("must be a duration like 30s, 10m or 1d")
    return length * _UNITS[written[2]] / 1000


def duration(seconds: float) -> str:
    """Write a duration of whole milliseconds, in the longest unit that fits."""
    length = _milliseconds(seconds)
    unit = next(unit for unit, size in _UNITS.items() if length % size == 0)
    return f"{length // _UNITS[unit]}{unit}"


class Rate(NamedTuple):
    """So many `attempts` in a `period` of seconds; written `{attempts}/{timeLength}{timeUnit}`."""

    attempts: int
    period: float

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read `3/1d`.

        Raises:
            ValueError: it is no such limit.
        """
        written = re.fullmatch("([0-9]{1,9})/(.*)", text)
        if not written:
            raise ValueError("must be a limit like 3/1d")
        return cls(int(written[1]), seconds(written[2]))

    def __str__(self) -> str:
        return f"{self.attempts}/{duration(self.period)}"

    def plus(self, other: "Rate") -> "Rate":
        """What lets as many through as both together do: in the longer of their periods, as many as fit into it."""
        short, long = sorted((self, other), key=lambda rate: rate.period)
        periods = -(-_milliseconds(long.period) // _milliseconds(short.period))
        return Rate(long.attempts + short.attempts * periods, long.period)

    def is_tighter_than(self, other: "Rate") -> bool:
        """Whether it can refuse what `other` lets through: as many as fit into the periods that its own touches."""
        periods = -(-_milliseconds(self.period) // _milliseconds(other.period))
        return self.attempts < other.attempts * periods


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
