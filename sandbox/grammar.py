"""Infobip's formats of durations, limits, placeholders and numbers, and the alphabets of its PINs."""

import re
import string
from dataclasses import dataclass

DAY = 86400.0
YEAR = 365 * DAY
ALPHABETS = {
    "NUMERIC": string.digits,
    "ALPHA": string.ascii_uppercase,
    "HEX": string.digits + "ABCDEF",
    "ALPHANUMERIC": string.ascii_uppercase + string.digits,
}
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
    **dict.fromkeys(("", "undefined", "null", "none"), None),
}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


def seconds(duration: str, longest: float = YEAR) -> float:
    """Parse `{timeLength}{timeUnit}`; without a length it is 1.

    Raises:
        ValueError: the text has another form, is zero, or exceeds `longest` seconds.
    """
    written = re.fullmatch("([0-9]{0,15})(ms|s|m|h|d)", duration)
    if not written:
        raise ValueError("must be a duration like 10m")
    length = int(written[1] or 1) * _UNITS[written[2]]
    if not 0 < length <= longest:
        raise ValueError(f"must be longer than 0 and not exceed {longest / DAY:g} d")
    return length


@dataclass(frozen=True)
class Limit:
    """`{attempts}/{timeLength}{timeUnit}`; the period in seconds."""

    attempts: int
    period: float

    @classmethod
    def parse(cls, text: str, longest: float = YEAR) -> "Limit":
        """Parse `3/1d` or `3/d`.

        Raises:
            ValueError: the text has another form, or its period exceeds `longest` seconds.
        """
        attempts, slash, period = text.partition("/")
        if not slash or not re.fullmatch("[0-9]{1,9}", attempts) or not int(attempts):
            raise ValueError("must be a limit like 3/1d")
        return cls(int(attempts), seconds(period, longest))


def flag(written: str) -> bool | None:
    """Parse a boolean of a query string as clients write it: `true`, `True`, `1`; None if it is absent (`undefined`).

    Raises:
        ValueError: the text is not a boolean.
    """
    if (known := written.strip().lower()) not in _FLAGS:
        raise ValueError("must be true or false")
    return _FLAGS[known]


def fill(text: str, placeholders: dict[str, str]) -> str:
    """Replace each `{{name}}` in `text`; a placeholder without a value stays."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: placeholders.get(found[1], found[0]), text)


def without_plus(to: str) -> str:
    """A phone number without its +. An e-mail address, which may begin with a +, is not changed."""
    return to if "@" in to else to.removeprefix("+")
