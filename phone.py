"""Phone numbers: from what people type to E.164, and which of them may be sent to."""

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from errors import InvalidPhoneNumber, PhoneNumberNotAllowed, PhoneNumberNotCallable
from otp.recipients import Recipient
from otp.typed_text import in_ascii

# libphonenumber reads much more (letters, ;ext=, tel:, control characters) as the same number. What is not
# accepted here cannot be a second spelling that slips past a limit.
_WRITTEN = re.compile(r"[ (]*\+?[0-9 \-.()/]{1,40}")
_NO_DIGIT = re.compile("[^0-9]+")

_NO_COUNTRY = "001"  # ITU-T E.164.1: satellites, networks of no country, free phones of the world
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
        return region != _NO_COUNTRY and (not self.allowed_countries or region in self.allowed_countries)

    def _parse(self, raw: str) -> tuple[phonenumbers.PhoneNumber, int]:
        written = in_ascii(raw)
        if not _WRITTEN.fullmatch(written):
            raise InvalidPhoneNumber
        try:
            number = phonenumbers.parse(written, self.default_region)
        except NumberParseException as e:
            raise InvalidPhoneNumber from e
        kind = phonenumbers.number_type(number)  # UNKNOWN exactly for those that are not valid
        if kind == PhoneNumberType.UNKNOWN or not _is_what_was_written(written, number):
            raise InvalidPhoneNumber
        return number, kind


def region_of(phone: str) -> str:
    """The region of `phone` (E.164), for who has not read it: to parse it again costs as much as to read it."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or ""


def _is_what_was_written(written: str, number: phonenumbers.PhoneNumber) -> bool:
    """False where rules for national numbers have put digits into an international one: +261 2345678 is no number.

    A prefix that is only dialled within the country may have gone: +44 (0)20 7183 8750 is one.
    """
    if "+" not in written:
        return True
    return _NO_DIGIT.sub("", written).endswith(phonenumbers.national_significant_number(number))


def _recipient(number: phonenumbers.PhoneNumber) -> Recipient:
    address = str(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    return Recipient("phone", address, phonenumbers.region_code_for_number(number) or "")
