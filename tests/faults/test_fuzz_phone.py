"""The phone parser, fuzzed: it never makes another number of the digits than they are."""

import re
from contextlib import suppress

import phonenumbers
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from errors import InvalidPhoneNumber, PhoneNumberNotAllowed
from phone import PhoneBook
from tests.faults.fuzzing import examples

# Real numbers of every region, spelled with what may stand between digits, and with what may not.
NUMBERS = [
    phonenumbers.format_number(number, PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    if (number := phonenumbers.example_number_for_type(region, kind))
]
BETWEEN = st.text(" -.()/", max_size=3)
ODD = st.text("0123456789+ -.()/x#,;e\u0661\uff11\u00a0\n\x00\u202e", min_size=1, max_size=2)
ENDS = st.sampled_from(["", "", "x5", ";ext=5", "#5", ",5", " ext. 12", "/5", "\n", "\u0661"])


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A number that is spaced, or has something odd in it; at times without its plus, or with a digit changed."""
    digits = draw(st.sampled_from(NUMBERS))[1:]
    place = draw(st.integers(0, len(digits)))
    kind = draw(st.sampled_from(["spaced", "odd", "changed"]))
    if kind == "spaced":
        digits = "".join(draw(BETWEEN) + digit for digit in digits)
    elif kind == "odd":
        digits = digits[:place] + draw(ODD) + digits[place:] + draw(ENDS)
    else:
        digits = digits[:place] + draw(st.text("0123456789", max_size=2)) + digits[place + draw(st.integers(0, 1)) :]
    return draw(st.sampled_from(["+", "+", "", " (+", "00"])) + digits


def digits_of(raw: str) -> str:
    return re.sub("[^0-9]", "", raw)


def reference(raw: str, region: str | None) -> str:
    """What libphonenumber makes of the bare digits."""
    number = phonenumbers.parse(("+" if "+" in raw else "") + digits_of(raw), region)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def is_cut_from(part: str, whole: str) -> bool:
    """Whether `part` is `whole` without some of its digits, all of them in one place and before the last six."""
    cuts = range(max(1, len(part) - 5))
    return any(whole.startswith(part[:cut]) and whole.endswith(part[cut:]) for cut in cuts)


@examples(short=150, long=20_000)
@given(raw=st.one_of(spellings(), st.text(max_size=30)), region=st.sampled_from([None, "US", "DE", "IT", "AR", "RU"]))
@example(raw="+44 (0)20 7183 8750", region=None)
@example(raw="(415) 555-2671", region="US")
@example(raw="+261 2345678", region=None)  # libphonenumber would call +261 20 2345678
@example(raw="+54 11 15 2345-6789", region=None)  # and here +54 9 11 2345-6789
def test_a_number_that_is_read_is_the_digits_that_were_typed(raw: str, region: str | None) -> None:
    book = PhoneBook(default_region=region)
    with suppress(InvalidPhoneNumber):
        phone = book.read(raw).address
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", phone)
        assert raw.isascii()
        assert phone == reference(raw, region)
        assert "+" not in raw or is_cut_from(phone[1:], digits_of(raw)), "none of the digits is ours"
        assert book.read(phone).address == phone, "reading it again changes nothing"
        assert PhoneBook().read(phone).address == phone, "nor does the region"
        with suppress(PhoneNumberNotAllowed):
            assert book.read_sendable(raw).address == phone


@examples(short=100, long=10_000)
@given(number=st.sampled_from(NUMBERS), data=st.data())
def test_a_whole_number_with_its_plus_is_itself_however_it_is_spaced(number: str, data: st.DataObject) -> None:
    """No national rule turns an international number into another one."""
    written = "+" + "".join(digit + data.draw(BETWEEN) for digit in number[1:])
    if len(written) <= 40:
        assert PhoneBook().read(written).address == number
