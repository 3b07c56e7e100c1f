"""Phone numbers are read in many spellings, and refused if they are invalid or ambiguous."""

from collections.abc import Callable
from contextlib import suppress

import phonenumbers
import pytest
import redis
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from otp.errors import InvalidPhoneNumber, PhoneNumberNotAllowed
from otp.phone_numbers import PhoneBook
from tests.support.running import Sandbox, Service, refusal

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
def test_many_spellings_are_read_as_one_number(raw: str, phone: str) -> None:
    assert PhoneBook().read_reachable(raw)[0].address == phone


REGIONS = {
    "+14155552671": "US",
    "+16135550123": "CA",
    "+447911123456": "GG",
    "+442071838750": "GB",
    "+80012345678": "001",
}


@pytest.mark.parametrize(("phone", "region"), REGIONS.items())
def test_the_region_is_read_with_the_number(phone: str, region: str) -> None:
    assert PhoneBook().read(phone).region == region


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
def test_these_types_of_numbers_are_never_sent_to(kind: str) -> None:
    with pytest.raises(PhoneNumberNotAllowed):
        PhoneBook().read_reachable(REFUSED[kind])
    assert PhoneBook().read(REFUSED[kind]).address == REFUSED[kind]


def test_landlines_may_be_sent_to() -> None:
    assert PhoneBook().read_reachable("+442071838750")[0]


def test_countries_are_allowed_by_region_and_not_by_calling_code() -> None:
    only_us = PhoneBook(allowed_countries=frozenset({"US"}))
    assert only_us.read_reachable("+14155552671")[0]
    for elsewhere in ("+18765551234", "+14165550123", "+442071838750"):  # Jamaica, Canada, Britain
        with pytest.raises(PhoneNumberNotAllowed):
            only_us.read_reachable(elsewhere)


OWN_CODE = {
    ("DE", "4915112345678"): "+4915112345678",
    ("DE", "49 151 12345678"): "+4915112345678",
    ("DE", "004915112345678"): "+4915112345678",
    ("ID", "6281234567890"): "+6281234567890",
    ("ID", "62812345678"): "+62812345678",
    ("XK", "38343201234"): "+38343201234",
    ("GB", "447400123456"): "+447400123456",
    ("US", "14155552671"): "+14155552671",
    ("US", "011447400123456"): "+447400123456",
    ("US", "00447400123456"): "+447400123456",
    ("RU", "8 10 44 7400 123456"): "+447400123456",
}


@pytest.mark.parametrize(("region", "raw"), OWN_CODE)
def test_a_number_with_its_calling_code_and_no_plus_is_the_international_one(region: str, raw: str) -> None:
    assert PhoneBook(region).read_reachable(raw)[0].address == OWN_CODE[region, raw]


TWO_OWNERS = {
    ("DE", "447400900000"): "+447400900000, or in Germany 04474 00900000",
    ("DE", "15123456789"): "+1 512 345 6789, or 0151 23456789",
    ("DE", "49180 12345"): "a service number, or 04918 012345",
    ("US", "4799123456"): "+47 99 12 34 56, or 479 912 3456",
    ("US", "6463571234"): "+64 6 357 1234, or 646 357 1234",
    ("US", "64-6-357-1234"): "the same, written as in New Zealand",
    ("CN", "13123456789"): "+1 312 345 6789, or 131 2345 6789",
    ("CN", "1 312 345 6789"): "the same, written as in America",
    ("AU", "0016492311234"): "+1 649 231 1234, or +49 2311234 by a carrier's prefix",
    ("FR", "004915112345"): "an international number that is too short",
    ("DE", "04915112345678"): "+49 151 12345678 with a zero too few, or 04915 112345678",
    ("XK", "038348447290"): "+383 48 447 290 with a zero too many, or 038 348447290",
    ("ID", "0013548012907"): "+1 354 801 2907, or +354 801 2907 by the carrier 001",
    ("MN", "00250280261489"): "+250 280 261 489, or +502 8026 1489 by the carrier 002",
}


@pytest.mark.parametrize(("region", "raw"), TWO_OWNERS)
def test_a_number_that_two_people_may_have_is_refused(region: str, raw: str) -> None:
    with pytest.raises(InvalidPhoneNumber):
        PhoneBook(region).read(raw)


NATIONAL = {
    ("DE", "0151 12345678"): "+4915112345678",
    ("DE", "015123456789"): "+4915123456789",
    ("DE", "151 12345678"): "+4915112345678",
    ("DE", "030 123456"): "+4930123456",
    ("DE", "04921 12345"): "+49492112345",
    ("DE", "04915 123456"): "+494915123456",
    ("ZA", "083 123 4567"): "+27831234567",
    ("IT", "392 123 4567"): "+393921234567",
    ("NO", "47 12 34 56"): "+4747123456",
    ("SG", "6512 3456"): "+6565123456",
    ("RU", "8 912 345-67-89"): "+79123456789",
    ("US", "(646) 357-1234"): "+16463571234",
    ("US", "646-357-1234"): "+16463571234",
    ("US", "1 646 357 1234"): "+16463571234",
    ("CN", "131 2345 6789"): "+8613123456789",
    ("MG", "2345678"): "+261202345678",
}


@pytest.mark.parametrize(("region", "raw"), NATIONAL)
def test_an_unambiguous_national_number_is_read(region: str, raw: str) -> None:
    assert PhoneBook(region).read(raw).address == NATIONAL[region, raw]


def test_no_region_reads_its_international_numbers_as_other_numbers() -> None:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in PhoneNumberType.values():
            if number := phonenumbers.example_number_for_type(region, kind):
                phone = phonenumbers.format_number(number, PhoneNumberFormat.E164)
                for raw in (phone[1:], f"00{phone[1:]}"):
                    with suppress(InvalidPhoneNumber):
                        assert PhoneBook(region).read(raw).address == phone, region


def test_a_number_has_15_digits_at_most() -> None:
    assert PhoneBook("DE").read("0800 1234567890").address == "+498001234567890"
    for raw in ("04915 123456789012", "+494915123456789012"):
        with pytest.raises(InvalidPhoneNumber):
            PhoneBook("DE").read(raw)


def test_the_pin_goes_to_the_owner_of_the_number(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, DEFAULT_REGION="DE")
    assert service.send(phone.removeprefix("+")).status_code == 200
    assert refusal(service.send(f"0{phone[3:]}")) == (429, "too_many_requests"), "it is the same phone"
    assert refusal(service.send("447400900000")) == (400, "invalid_phone_number")
    assert [message.pin.to for message in sandbox.messages] == [phone.removeprefix("+")]
    assert service.verify(f"00{phone[1:]}", sandbox.pin(phone)).status_code == 200
