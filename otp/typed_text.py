"""Normalizes phone numbers and PINs that people type or paste, with digits of any script and invisible characters."""

import re
import unicodedata
from typing import Any

from otp.errors import InvalidPinFormat

LONGEST = 100  # characters: twice those of a phone number with an invisible mark before and after each digit

# Unicode does not call these dashes, but people use them as such: the minus sign, Japanese length marks, a bullet.
_DASHES = frozenset("\u2212\u30fc\uff70\u2043\u02d7")
_CONTROL_SPACES = frozenset("\t\n\v\f\r\x85")
_PUNCTUATION = frozenset("+.()/")  # also in full width, from East Asian keyboards
_NOT_IN_A_PIN = re.compile("[ -]+")


def in_ascii(typed: str) -> str:
    """Convert decimal digits of any script, spaces, dashes, pluses, dots, brackets and slashes to ASCII.

    Format characters (Unicode's Cf: zero-width characters, direction marks) are removed, all others stay. Returns "" if
    `typed` has more than LONGEST characters.
    """
    if len(typed) > LONGEST:
        return ""
    return typed if typed.isascii() and typed.isprintable() else "".join(map(_ascii, typed))


def read_pin(typed: Any, pattern: re.Pattern[str]) -> str:
    """The PIN in `typed`, without spaces and dashes.

    Raises:
        InvalidPinFormat: it is not a string, or the PIN does not match `pattern`.
    """
    pin = _NOT_IN_A_PIN.sub("", in_ascii(typed)) if isinstance(typed, str) else ""
    if not pattern.fullmatch(pin):
        raise InvalidPinFormat
    return pin


def _ascii(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category[0] == "Z" or character in _CONTROL_SPACES:
        return " "
    if category == "Pd" or character in _DASHES:
        return "-"
    composed = unicodedata.normalize("NFKC", character)
    return composed if composed in _PUNCTUATION else character
