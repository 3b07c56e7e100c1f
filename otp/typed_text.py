"""Phone numbers and PINs as people type and paste them: in the digits of their script, with characters nobody sees."""

import re
import unicodedata
from typing import Any

from otp.errors import InvalidPinFormat

LONGEST = 100  # characters; a phone number with a mark before and behind each digit has half of them

# Of other kinds by Unicode, and still typed and printed as a dash: the minus sign, Japanese length marks, a bullet.
_DASHES = frozenset("\u2212\u30fc\uff70\u2043\u02d7")
_CONTROLS_THAT_ARE_BLANK = frozenset("\t\n\v\f\r\x85")
_PUNCTUATION = frozenset("+.()/")  # also in full width, as East Asian keyboards type it
_NOT_IN_A_PIN = re.compile("[ -]+")


def in_ascii(typed: str) -> str:
    """`typed`, of at most LONGEST characters, without characters of format (Unicode's Cf: zero-width ones, marks of
    direction), with ASCII for decimal digits of any script, for every blank, dash, plus, dot, bracket and slash.

    Other characters stay as they are. Returns "" for what is longer.
    """
    if len(typed) > LONGEST:
        return ""
    return typed if typed.isascii() and typed.isprintable() else "".join(map(_ascii, typed))


def read_pin(typed: Any, pattern: re.Pattern[str]) -> str:
    """The PIN that was `typed`, without blanks and dashes.

    Raises:
        InvalidPinFormat: it is not a string, or then does not match `pattern`.
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
    if category[0] == "Z" or character in _CONTROLS_THAT_ARE_BLANK:
        return " "
    if category == "Pd" or character in _DASHES:
        return "-"
    composed = unicodedata.normalize("NFKC", character)
    return composed if composed in _PUNCTUATION else character
