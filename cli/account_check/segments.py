"""Counts the SMS that a text needs, by 3GPP TS 23.038 (the alphabet) and 23.040 (long messages).

One SMS holds 160 septets of the GSM alphabet, or 70 UTF-16 units if the text has a character outside it. Each part of
a longer message needs room for a header: 153 septets or 67 units are left, and no character is split.
"""

from typing import NamedTuple

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")  # an escape and a character: two septets


class Length(NamedTuple):
    """`units` are septets in `GSM-7` and UTF-16 units in `UCS-2`."""

    encoding: str
    units: int
    segments: int

    @property
    def unit(self) -> str:
        """The name of a unit."""
        return "septets" if self.encoding == "GSM-7" else "UTF-16 units"


def measure(text: str) -> Length:
    """The encoding of `text`, its length, and how many SMS it needs."""
    if set(text) <= BASIC | EXTENSION:
        return _fill("GSM-7", [2 if character in EXTENSION else 1 for character in text], 160, 153)
    return _fill("UCS-2", [2 if ord(character) > 0xFFFF else 1 for character in text], 70, 67)


def _fill(encoding: str, sizes: list[int], alone: int, part: int) -> Length:
    if sum(sizes) <= alone:
        return Length(encoding, sum(sizes), 1)
    segments, room = 0, 0
    for size in sizes:
        if size > room:
            segments, room = segments + 1, part
        room -= size
    return Length(encoding, sum(sizes), segments)
