"""How many SMS a text takes, by 3GPP TS 23.038 (the alphabet) and 23.040 (long messages).

One SMS holds 160 septets of the GSM alphabet, or 70 UTF-16 units where the text has any character outside it. In a
longer message each part gives room for its header away: 153 septets or 67 units, and no character is cut in two.
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
        """What is counted."""
        return "septets" if self.encoding == "GSM-7" else "UTF-16 units"


def measure(text: str) -> Length:
    """What `text` takes."""
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
