"""Fuzzes the phone parser, which must never change the digits of a number."""

import re
from contextlib import suppress

import phonenumbers
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from otp.errors import InvalidPhoneNumber, PhoneNumberNotAllowed
from otp.phone_numbers import PhoneBook
from otp.typed_text import LONGEST, in_ascii
from tests.faults.fuzzing import examples

# These are real numbers of every region, and the characters that may or may not stand between digits.
NUMBERS = [
    phonenumbers.format_number(number, PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    if (number := phonenumbers.example_number_for_type(region, kind))
]
BETWEEN = st.text(" -.()/", max_size=3)
ODD = st.text(
    "0123456789+ -.()/x#,;e\u0661\uff11\u00a0\n\x00\u202e\u200b\u2011\u2013\uff0b\u00b2", min_size=1, max_size=2
)
INVISIBLE = st.text("\u202a\u202c\u2066\u2069\u200b\ufeff\u00ad", max_size=2)
BLANKS = {" ": " \t\u00a0\u202f\u3000", "-": "-\u2011\u2013\u2212\uff0d", "+": "+\uff0b"}
ZEROS = "0\u0660\u06f0\u0966\uff10\U0001d7ce"  # each is the first of ten digits
ENDS = st.sampled_from(["", "", "x5", ";ext=5", "#5", ",5", " ext. 12", "/5", "\n", "\u0661"])


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """Draw a number with spaces, odd characters or a changed digit, sometimes without its plus."""
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
    return re.sub("[^0-9]", "", in_ascii(raw))


def references(raw: str, region: str | None) -> set[str]:
    """Return how libphonenumber reads the digits: as an international number, and without a plus as a national one."""
    digits = digits_of(raw)
    spellings = {f"+{digits}"} if "+" in in_ascii(raw) else {digits, f"+{digits.removeprefix('00')}"}
    return {parsed for spelling in spellings if (parsed := e164(spelling, region))}


def e164(written: str, region: str | None = None) -> str | None:
    try:
        return phonenumbers.format_number(phonenumbers.parse(written, region), PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return None


@st.composite
def typed(draw: st.DrawFn, written: str) -> str:
    """Write `written` with other characters of the same meaning, as phones and people do."""
    characters = [draw(st.sampled_from(BLANKS.get(character, character))) for character in written]
    digits = [chr(ord(draw(st.sampled_from(ZEROS))) + int(c)) if c in "0123456789" else c for c in characters]
    return "".join(draw(INVISIBLE) + digit for digit in digits) + draw(INVISIBLE)


def is_cut_from(part: str, whole: str) -> bool:
    """Return whether `part` is `whole` without some digits, all in one place and before the last six."""
    cuts = range(max(1, len(part) - 5))
    return any(whole.startswith(part[:cut]) and whole.endswith(part[cut:]) for cut in cuts)


@examples(short=150, long=20_000)
@given(raw=st.one_of(spellings(), st.text(max_size=30)), region=st.sampled_from([None, "US", "DE", "IT", "AR", "RU"]))
@example(raw="+44 (0)20 7183 8750", region=None)
@example(raw="(415) 555-2671", region="US")
@example(raw="+261 2345678", region=None)  # libphonenumber would call +261 20 2345678
@example(raw="+54 11 15 2345-6789", region=None)  # and here +54 9 11 2345-6789
def test_a_parsed_number_has_the_digits_that_were_typed(raw: str, region: str | None) -> None:
    book = PhoneBook(default_region=region)
    with suppress(InvalidPhoneNumber):
        phone = book.read(raw).address
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", phone)
        assert phone in references(raw, region)
        assert "+" not in in_ascii(raw) or is_cut_from(phone[1:], digits_of(raw)), "none of the digits is ours"
        assert book.read(phone).address == phone, "reading it again changes nothing"
        assert PhoneBook().read(phone).address == phone, "nor does the region"
        with suppress(PhoneNumberNotAllowed):
            assert book.read_reachable(raw)[0].address == phone


@examples(short=100, long=10_000)
@given(number=st.sampled_from(NUMBERS), data=st.data())
def test_an_international_number_is_unchanged_however_it_is_spaced(number: str, data: st.DataObject) -> None:
    """No national rule turns an international number into another one."""
    written = "+" + "".join(digit + data.draw(BETWEEN) for digit in number[1:])
    if len(written) <= 40:
        assert PhoneBook().read(written).address == number


@examples(short=150, long=20_000)
@given(spelling=spellings(), region=st.sampled_from([None, "US", "DE", "ID", "XK"]), data=st.data())
def test_digits_of_another_script_and_invisible_characters_change_nothing(
    spelling: str, region: str | None, data: st.DataObject
) -> None:
    plain = in_ascii(spelling)
    raw = data.draw(typed(plain))
    if len(raw) <= LONGEST:
        assert in_ascii(raw) == plain
        assert read(raw, region) == read(plain, region) == read(spelling, region)


def read(raw: str, region: str | None) -> str | None:
    with suppress(InvalidPhoneNumber):
        return PhoneBook(default_region=region).read(raw).address
    return None


@examples(short=2000, long=200_000)
@given(
    number=st.sampled_from(NUMBERS),
    region=st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    prefix=st.sampled_from(["", "", "00"]),
    last=st.text("0123456789", min_size=3, max_size=3),
    spaced=st.booleans(),
)
@example(number="+4915112345678", region="DE", prefix="", last="678", spaced=False)
@example(number="+16492311234", region="AU", prefix="00", last="234", spaced=False)  # 0016 calls abroad, too
def test_a_number_without_its_plus_never_becomes_another_number(
    number: str, region: str, prefix: str, last: str, spaced: bool
) -> None:
    number = number[:-3] + last
    parsed = phonenumbers.parse(number)
    if phonenumbers.is_valid_number(parsed):
        international = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
        raw = prefix + (international if spaced else number).removeprefix("+")
        assert read(raw, region) in (None, e164(number))
