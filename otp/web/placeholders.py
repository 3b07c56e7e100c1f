"""Reads the placeholders of a message: names of people, and nothing that could be phishing.

A phone may ignore combining marks and letter variants when it turns text into links. So links and numbers are searched
in the bare letters, and invisible characters are refused unless a script needs them where they are.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated

from idna.core import valid_contextj

from otp.errors import InvalidPlaceholders
from otp.setting_types import matching

_NAMES = "must be names like firstName, separated by commas; pin is Infobip's"
PlaceholderName = Annotated[str, matching("(?!pin$)[A-Za-z][A-Za-z0-9_]{0,31}", _NAMES)]

LONGEST = 50
MOST_DIGITS = 6  # seven are a telephone number

# A scheme; an address; a dot before a letter of any script. IDNA knows one more dot, which NFKC does not make ASCII.
_LINK = re.compile("//|@|[.\u3002]\\w")
_NO_NAMES = set("{}\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # braces of templates; letters that look blank
_JOINERS = {"\u200c", "\u200d"}
_VIRAMA = 9  # a canonical combining class
_MARKS = {"Mn", "Me"}
# Yoruba, Lingala, Guarani, Marshallese, Mansi and others use them on letters without a precomposed form.
_ACCENTS = set("\u0300\u0301\u0302\u0303\u0304\u0307\u030c\u0327\u0331")
_ACCENTED = {"LATIN", "CYRILLIC"}


def read_placeholders(given: Mapping[str, str], allowed: frozenset[str]) -> dict[str, str]:
    """Return `given`, if each name is `allowed` and each value has 1 to 50 visible characters and no link.

    All values together have at most six digits, since a telephone number can be split over two of them.

    Raises:
        InvalidPlaceholders: a name or a value is not allowed.
    """
    if not given.keys() <= allowed or not all(map(_is_harmless, given.values())) or _is_number(given.values()):
        raise InvalidPlaceholders
    return dict(given)


def _is_harmless(text: str) -> bool:
    if not 1 <= len(text) <= LONGEST or text.isspace() or set(text) & _NO_NAMES:
        return False
    composed = unicodedata.normalize("NFC", text)
    return all(_is_legible(composed, at) for at in range(len(composed))) and not _LINK.search(_bare(text))


def _is_number(texts: Iterable[str]) -> bool:
    return sum(map(str.isnumeric, "".join(map(_bare, texts)))) > MOST_DIGITS


def _bare(text: str) -> str:
    """`text` in plain letters, without combining marks."""
    return "".join(each for each in unicodedata.normalize("NFKC", text) if not _is_mark(each))


def _is_legible(text: str, at: int) -> bool:
    """Whether the character there is seen, or needed by the script around it."""
    if text[at] in _JOINERS:
        return _joins(text, at)
    if unicodedata.category(text[at]) in _MARKS:
        return _belongs(text, at)
    return text[at].isprintable()


def _joins(text: str, at: int) -> bool:
    """By RFC 5892, A.1 and A.2; and between a letter and its virama, as Bengali and Kannada have it."""
    if text[at] == "\u200d" and unicodedata.combining(text[at + 1 : at + 2] or " ") == _VIRAMA:
        return True
    try:
        return valid_contextj(text, at)
    except ValueError:  # the character before it has no name
        return False


def _belongs(text: str, at: int) -> bool:
    """Whether the mark there is of the script of its letter, or an accent right on it."""
    letter = next((each for each in reversed(text[:at]) if not _is_mark(each) and each not in _JOINERS), "")
    if not letter.isalpha():
        return False
    accented = text[at] in _ACCENTS and text[at - 1] == letter and _script(letter) in _ACCENTED
    return accented or _script(text[at]) == _script(letter)


def _script(character: str) -> str:
    """The first word of its name; of marks that are of no script, another one than that of any letter."""
    return unicodedata.name(character, "").partition(" ")[0]


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"
