"""Phone numbers: from what people type to E.164, and which of them may be sent to."""

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from otp.errors import InvalidPhoneNumber, PhoneNumberNotAllowed, PhoneNumberNotCallable
from otp.recipients import Recipient
from otp.typed_text import in_ascii

_Read = tuple[phonenumbers.PhoneNumber, int]  # a valid number, and its type

# libphonenumber reads much more (letters, ;ext=, tel:, control characters) as the same number. What is not
# accepted here cannot be a second spelling that slips past a limit.
_WRITTEN = re.compile(r"[ (]*\+?[0-9 \-.()/]{1,40}")
_DIGITS = re.compile("[0-9]+")
_NO_DIGIT = re.compile("[^0-9]+")

NO_COUNTRY = "001"  # ITU-T E.164.1: satellites, networks of no country, free phones of the world
_REFUSED_TYPES = frozenset(
    {
        PhoneNumberType.PERSONAL_NUMBER,  # forwarded to any other, at its owner's price
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PAGER,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.UAN,
    }
)
_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


@dataclass(frozen=True)
class PhoneBook:
    """Reads phone numbers.

    Args:
        default_region: ISO 3166 region of numbers without a country code; None refuses them.
        allowed_countries: regions that may be sent to; empty for all.
        refused_types: libphonenumber's names of types that get no SMS, in addition to those that never get one.
        voice_refused_types: the same for calls.
    """

    default_region: str | None = None
    allowed_countries: frozenset[str] = frozenset()
    refused_types: frozenset[str] = frozenset()
    voice_refused_types: frozenset[str] = frozenset()

    def read(self, raw: str) -> Recipient:
        """Whose number `raw` is.

        Raises:
            InvalidPhoneNumber: it is not a valid number.
        """
        return _recipient(self._parse(raw)[0])

    def read_sendable(self, raw: str, *, by_call: bool = False) -> Recipient:
        """Like `read`, for a number that is about to get an SMS, or a call.

        Raises:
            PhoneNumberNotAllowed: its type or its country is never sent to.
            PhoneNumberNotCallable: Infobip's calls, which come from anywhere, cannot reach it.
        """
        number, kind = self._parse(raw)
        refused_types = self.voice_refused_types if by_call else self.refused_types
        if kind in _REFUSED_TYPES or PhoneNumberType.to_string(kind) in refused_types:
            raise PhoneNumberNotAllowed
        recipient = _recipient(number)
        if not self._allows(recipient.region):
            raise PhoneNumberNotAllowed
        if by_call and not phonenumbers.can_be_internationally_dialled(number):
            raise PhoneNumberNotCallable
        return recipient

    def _allows(self, region: str | None) -> bool:
        return region != NO_COUNTRY and (not self.allowed_countries or region in self.allowed_countries)

    def _parse(self, raw: str) -> _Read:
        written = in_ascii(raw)
        if not _WRITTEN.fullmatch(written):
            raise InvalidPhoneNumber
        read = _valid(written) if "+" in written else self._without_plus(written)
        if read is None:
            raise InvalidPhoneNumber
        return read

    def _without_plus(self, written: str) -> _Read | None:
        """None also where two people may be meant: the one whose national number it is, and one abroad."""
        if self.default_region is None:
            return None
        digits = _NO_DIGIT.sub("", written)
        national = _valid(digits, self.default_region)
        own_code = str(phonenumbers.country_code_for_region(self.default_region))
        if digits.startswith("00"):
            return _the_one(national, _valid(f"+{digits[2:]}"), _behind_a_carrier(digits, self.default_region))
        if digits.startswith(f"0{own_code}"):
            return _behind_a_zero(national, _valid(f"+{digits[1:]}"))
        international = _valid(f"+{digits}")
        if digits.startswith(own_code):
            return _of_own_country(digits, national, international)
        is_national = national and (not international or _is_in_national_groups(written, national[0], international[0]))
        return national if is_national or national == international else None


def region_of(phone: str) -> str:
    """The region of `phone` (E.164), for who has not read it: to parse it again costs as much as to read it."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or ""


def _valid(written: str, region: str | None = None) -> _Read | None:
    """The number that is `written`, and its type; None if it is not valid."""
    try:
        number = phonenumbers.parse(written, region)
    except NumberParseException:
        return None
    kind = phonenumbers.number_type(number)  # UNKNOWN exactly for those that are not valid
    if kind == PhoneNumberType.UNKNOWN or _is_too_long(number):
        return None
    return (number, kind) if region or _is_what_was_written(written, number) else None


def _is_too_long(number: phonenumbers.PhoneNumber) -> bool:
    """By E.164, which has 15 digits at most; libphonenumber knows longer ones in Germany."""
    return len(f"{number.country_code}{phonenumbers.national_significant_number(number)}") > 15


def _the_one(*readings: _Read | None) -> _Read | None:
    """The one that is there; None where they differ."""
    found = [reading for reading in readings if reading]
    return found[0] if found and all(reading == found[0] for reading in found) else None


def _behind_a_carrier(digits: str, region: str) -> _Read | None:
    """What is behind 001, 002, ... where people who dial abroad choose a carrier so. libphonenumber knows not all."""
    country = PhoneMetadata.metadata_for_region(region)
    prefix = (country and country.international_prefix) or ""
    chosen = prefix.startswith("00") and not re.fullmatch(prefix, "00")
    return _valid(f"+{digits[3:]}") if chosen else None


def _behind_a_zero(national: _Read | None, international: _Read | None) -> _Read | None:
    """Of digits that begin with one zero and the calling code of the default region: a landline's, as a rule.

    None where a mobile number is behind the zero: 0 49 151 12345678 is one with a zero or a plus too few.
    """
    is_landline = national and national[1] not in _MOBILE
    return None if is_landline and international and international[1] in _MOBILE else national


def _of_own_country(digits: str, national: _Read | None, international: _Read | None) -> _Read | None:
    """Of `digits` that begin with the calling code of the default region.

    They are nearly always an international number, as Infobip writes it. A landline that begins with these digits is
    written with a zero before them, so only a mobile number is believed to be a national one.
    """
    if national is None or national == international:
        return international
    if international is None:
        is_short = not phonenumbers.is_possible_number(phonenumbers.parse(f"+{digits}"))
        return national if is_short or national[1] in _MOBILE else None
    return international if international[1] in _MOBILE and national[1] not in _MOBILE else None


def _is_in_national_groups(
    written: str, national: phonenumbers.PhoneNumber, international: phonenumbers.PhoneNumber
) -> bool:
    """Whether it is `written` as people of its country do, and not as they do abroad: (646) 357-1234 is in New York,
    though +64 6 357 1234 is in New Zealand."""
    groups = _DIGITS.findall(written)
    usual = _DIGITS.findall(phonenumbers.format_number(national, PhoneNumberFormat.NATIONAL))
    return len(groups) > 1 and groups == usual and groups[0] != str(international.country_code)


def _is_what_was_written(written: str, number: phonenumbers.PhoneNumber) -> bool:
    """False where rules for national numbers have put digits into an international one: +261 2345678 is no number.

    A prefix that is only dialled within the country may have gone: +44 (0)20 7183 8750 is one. In North America it is
    the calling code itself: +1 1 is how people begin who dial 0011 before a number of another country.
    """
    digits, national = _NO_DIGIT.sub("", written), phonenumbers.national_significant_number(number)
    return digits == f"1{national}" if number.country_code == 1 else digits.endswith(national)


def _recipient(number: phonenumbers.PhoneNumber) -> Recipient:
    address = str(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    return Recipient("phone", address, phonenumbers.region_code_for_number(number) or "")
