"""How many SMS a text takes. The expected values are calculated by hand from 3GPP TS 23.038 and 23.040."""

import pytest

from cli.account_check.segments import BASIC, EXTENSION, Length, measure


def test_the_alphabet_is_complete() -> None:
    """The alphabet has 128 places, one of which is the escape to the extension."""
    assert len(BASIC) == 127
    assert len(EXTENSION) == 10
    assert not BASIC & EXTENSION


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Length("GSM-7", 0, 1)),
        ("a" * 160, Length("GSM-7", 160, 1)),
        ("a" * 161, Length("GSM-7", 161, 2)),
        ("a" * 306, Length("GSM-7", 306, 2)),
        ("a" * 307, Length("GSM-7", 307, 3)),
        ("€" * 80, Length("GSM-7", 160, 1)),
        ("€" * 80 + "a", Length("GSM-7", 161, 2)),
        ("Ü¿ñ@£\n\r" * 22, Length("GSM-7", 154, 1)),
        ("ç" * 70, Length("UCS-2", 70, 1)),
        ("ç" * 71, Length("UCS-2", 71, 2)),
        ("ç" * 134, Length("UCS-2", 134, 2)),
        ("ç" * 135, Length("UCS-2", 135, 3)),
        ("`" + "a" * 69, Length("UCS-2", 70, 1)),
        ("`" + "a" * 70, Length("UCS-2", 71, 2)),
        ("😀" * 35, Length("UCS-2", 70, 1)),
        ("😀" * 35 + "a", Length("UCS-2", 71, 2)),
    ],
)
def test_boundaries(text: str, expected: Length) -> None:
    assert measure(text) == expected


def test_no_character_is_cut_in_two() -> None:
    """A character of two units that does not fit into the first part leaves the last place of that part empty."""
    assert measure("a" * 152 + "€" + "a" * 152) == Length("GSM-7", 306, 3)
    assert measure("a" * 151 + "€" + "a" * 153) == Length("GSM-7", 306, 2)
    assert measure("ç" * 66 + "😀" + "ç" * 66) == Length("UCS-2", 134, 3)
    assert measure("ç" * 65 + "😀" + "ç" * 67) == Length("UCS-2", 134, 2)


def test_each_encoding_has_its_own_unit() -> None:
    assert measure("a").unit == "septets"
    assert measure("ç").unit == "UTF-16 units"
