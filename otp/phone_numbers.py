"""Parses phone numbers from what people type to E.164, and decides which of them get messages."""

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from otp.errors import InvalidPhoneNumber, OtpError, PhoneNumberNotAllowed, PhoneNumberNotCallable
from otp.recipients import Recipient
from otp.typed_text import in_ascii

_Reading = tuple[phonenumbers.PhoneNumber, int]  # a valid number and its type

# libphonenumber accepts many more spellings of a number (letters, ;ext=, tel:, control characters). A spelling that is
# refused here cannot evade a limit.
_ACCEPTED = re.compile(r"[ (]*\+?[0-9 \-.()/]{1,40}")
_DIGITS = re.compile("[0-9]+")
_NON_DIGITS = re.compile("[^0-9]+")

NO_COUNTRY = "001"  # ITU-T E.164.1: satellites, networks of no country, international freephone numbers
_REFUSED_TYPES = frozenset(
    {
        PhoneNumberType.PERSONAL_NUMBER,  # forwards to any other number, at a price that its owner sets
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
    """Parses phone numbers.

    Args:
        default_region: the ISO 3166 region of numbers without a country code; None refuses such numbers.
        allowed_countries: the regions that get messages; empty for all.
        refused_types: the types (libphonenumber's names) that get no SMS, in addition to those that never do.
        voice_refused_types: the types that get no calls.
    """

    default_region: str | None = None
    allowed_countries: frozenset[str] = frozenset()
    refused_types: frozenset[str] = frozenset()
    voice_refused_types: frozenset[str] = frozenset()

    def read(self, raw: str) -> Recipient:
        """The recipient with the number `raw`.

        Raises:
            InvalidPhoneNumber: it is not a valid number.
        """
        return _recipient(self._parse(raw)[0])

    def read_reachable(self, raw: str, *, by_call: bool = False) -> tuple[Recipient, bool]:
        """Like `read`, for a number that is to get an SMS or a call.

        The second value is whether it may get the other one of the two, too.

        Raises:
            PhoneNumberNotAllowed: numbers of its type or its country get no messages.
            PhoneNumberNotCallable: it cannot be called from abroad, as Infobip may do.
        """
        reading = self._parse(raw)
        recipient = _recipient(reading[0])
        if refusal := self._refusal(reading, recipient.region, by_call):
            raise refusal
        return recipient, self._refusal(reading, recipient.region, not by_call) is None

    def _refusal(self, reading: _Reading, region: str, by_call: bool) -> type[OtpError] | None:
        number, kind = reading
        refused_types = self.voice_refused_types if by_call else self.refused_types
        if kind in _REFUSED_TYPES or PhoneNumberType.to_string(kind) in refused_types or not self._is_allowed(region):
            return PhoneNumberNotAllowed
        return PhoneNumberNotCallable if by_call and not _is_callable(number, region) else None

    def _is_allowed(self, region: str) -> bool:
        return region != NO_COUNTRY and (not self.allowed_countries or region in self.allowed_countries)

    def _parse(self, raw: str) -> _Reading:
        typed = in_ascii(raw)
        if not _ACCEPTED.fullmatch(typed):
            raise InvalidPhoneNumber
        reading = _read_valid(typed) if "+" in typed else self._without_plus(typed)
        if reading is None:
            raise InvalidPhoneNumber
        return reading

    def _without_plus(self, typed: str) -> _Reading | None:
        """None if it is ambiguous, too: a national number of one person, and an international one of another."""
        if self.default_region is None:
            return None
        digits = _NON_DIGITS.sub("", typed)
        national = _read_valid(digits, self.default_region)
        own_code = str(phonenumbers.country_code_for_region(self.default_region))
        if digits.startswith("00"):
            return _only_reading(national, _read_valid(f"+{digits[2:]}"), _after_carrier(digits, self.default_region))
        if digits.startswith(f"0{own_code}"):
            return _after_zero(national, _read_valid(f"+{digits[1:]}"))
        international = _read_valid(f"+{digits}")
        if digits.startswith(own_code):
            return _with_own_code(digits, national, international)
        is_national = national and (not international or _is_in_national_groups(typed, national[0], international[0]))
        return national if is_national or national == international else None


def _read_valid(typed: str, region: str | None = None) -> _Reading | None:
    """The number in `typed` and its type; None if it is not valid."""
    try:
        number = phonenumbers.parse(typed, region)
    except NumberParseException:
        return None
    kind = phonenumbers.number_type(number)  # UNKNOWN means that the number is not valid
    if kind == PhoneNumberType.UNKNOWN or _is_too_long(number):
        return None
    return (number, kind) if region or _has_typed_digits(typed, number) else None


def _is_too_long(number: phonenumbers.PhoneNumber) -> bool:
    """Whether it has more than the 15 digits of E.164; libphonenumber accepts longer ones in Germany."""
    return len(f"{number.country_code}{phonenumbers.national_significant_number(number)}") > 15


def _only_reading(*readings: _Reading | None) -> _Reading | None:
    """The only valid reading; None if several ones differ."""
    found = [reading for reading in readings if reading]
    return found[0] if found and all(reading == found[0] for reading in found) else None


def _after_carrier(digits: str, region: str) -> _Reading | None:
    """The number after 001, 002, ..., in regions where these choose a carrier. libphonenumber does not know all."""
    country = PhoneMetadata.metadata_for_region(region)
    prefix = (country and country.international_prefix) or ""
    chosen = prefix.startswith("00") and not re.fullmatch(prefix, "00")
    return _read_valid(f"+{digits[3:]}") if chosen else None


def _after_zero(national: _Reading | None, international: _Reading | None) -> _Reading | None:
    """Digits that begin with one zero and the calling code of the default region are usually a landline number.

    None if a mobile number follows the zero: 0 49 151 12345678 lacks a zero or a plus.
    """
    is_landline = national and national[1] not in _MOBILE
    return None if is_landline and international and international[1] in _MOBILE else national


def _with_own_code(digits: str, national: _Reading | None, international: _Reading | None) -> _Reading | None:
    """Read `digits` that begin with the calling code of the default region.

    They are nearly always an international number, as Infobip writes it. People type a zero before a landline number
    that begins with these digits, so only a mobile number can be a national one.
    """
    if national is None or national == international:
        return international
    if international is None:
        is_short = not phonenumbers.is_possible_number(phonenumbers.parse(f"+{digits}"))
        return national if is_short or national[1] in _MOBILE else None
    return international if international[1] in _MOBILE and national[1] not in _MOBILE else None


def _is_in_national_groups(
    typed: str, national: phonenumbers.PhoneNumber, international: phonenumbers.PhoneNumber
) -> bool:
    """Whether the digits are grouped as in the number's country, and not as abroad: (646) 357-1234 is in New York,
    although +64 6 357 1234 is in New Zealand.
    """
    groups = _DIGITS.findall(typed)
    national_groups = _DIGITS.findall(phonenumbers.format_number(national, PhoneNumberFormat.NATIONAL))
    return len(groups) > 1 and groups == national_groups and groups[0] != str(international.country_code)


def _has_typed_digits(typed: str, number: phonenumbers.PhoneNumber) -> bool:
    """False if libphonenumber has inserted digits into an international number: +261 2345678 is not valid.

    It may have removed a prefix that is only dialled within the country: +44 (0)20 7183 8750 is valid. In North America
    this prefix is the calling code itself: +1 1 comes from people who dial 0011 before a foreign number.
    """
    digits, national = _NON_DIGITS.sub("", typed), phonenumbers.national_significant_number(number)
    return digits == f"1{national}" if number.country_code == 1 else digits.endswith(national)


def _is_callable(number: phonenumbers.PhoneNumber, region: str) -> bool:
    """Whether it can be called from abroad. libphonenumber needs 40 us for that; most regions list no such numbers."""
    metadata = PhoneMetadata.metadata_for_region(region)
    may_list = metadata is None or metadata.no_international_dialling is not None
    return not may_list or phonenumbers.can_be_internationally_dialled(number)


def _recipient(number: phonenumbers.PhoneNumber) -> Recipient:
    address = str(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    return Recipient("phone", address, phonenumbers.region_code_for_number(number) or NO_COUNTRY)
