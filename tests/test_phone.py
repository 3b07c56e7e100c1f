"""Phone numbers: what is read and what is refused."""

import pytest

from errors import InvalidPhoneNumber, PhoneNumberNotAllowed
from otp.recipients import Recipient
from phone import PhoneBook, region_of
from spending.sending import Sending

WRITTEN = {
    "+14155552671": "+14155552671",
    " +1 (415) 555-2671 ": "+14155552671",
    "(+1) 415.555.2671": "+14155552671",
    "+44 (0)20 7183 8750": "+442071838750",
    "+442071838750": "+442071838750",
    "+447400123456": "+447400123456",
    "+49 151/12345678": "+4915112345678",
    "+385 91 123 4567": "+385911234567",
}


@pytest.mark.parametrize(("raw", "phone"), WRITTEN.items())
def test_many_spellings_one_number(raw: str, phone: str) -> None:
    assert PhoneBook().read_sendable(raw).address == phone


REGIONS = {
    "+14155552671": "US",
    "+16135550123": "CA",
    "+447911123456": "GG",
    "+442071838750": "GB",
    "+80012345678": "001",
}


@pytest.mark.parametrize(("phone", "region"), REGIONS.items())
def test_the_region_is_read_with_the_number(phone: str, region: str) -> None:
    assert PhoneBook().read(phone).region == region_of(phone) == Sending(Recipient.at(phone)).region == region
    assert Sending(Recipient("phone", phone, "XX")).region == "XX", "it is not parsed again"


def test_national_numbers_need_a_default_region() -> None:
    with pytest.raises(InvalidPhoneNumber):
        PhoneBook().read("(415) 555-2671")
    assert PhoneBook(default_region="US").read("(415) 555-2671").address == "+14155552671"
    assert PhoneBook(default_region="US").read("+442071838750").address == "+442071838750"
    assert PhoneBook(default_region="DE").read("0151 12345678").address == "+4915112345678"


REFUSED = {
    "premium rate": "+19002345678",
    "premium rate in Germany": "+499001234567",
    "toll free": "+18002345678",
    "shared cost": "+448431234567",
    "pager": "+447640123456",
    "UAN": "+445512345678",
    "voicemail": "+41860123456789",
    "personal": "+447012345678",
    "of no country": "+881612345678",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_never_sent_to(kind: str) -> None:
    with pytest.raises(PhoneNumberNotAllowed):
        PhoneBook().read_sendable(REFUSED[kind])
    assert PhoneBook().read(REFUSED[kind]).address == REFUSED[kind]


def test_landlines_may_be_sent_to() -> None:
    assert PhoneBook().read_sendable("+442071838750")


def test_countries_are_allowed_by_region_and_not_by_calling_code() -> None:
    only_us = PhoneBook(allowed_countries=frozenset({"US"}))
    assert only_us.read_sendable("+14155552671")
    for elsewhere in ("+18765551234", "+14165550123", "+442071838750"):  # Jamaica, Canada, Britain
        with pytest.raises(PhoneNumberNotAllowed):
            only_us.read_sendable(elsewhere)
