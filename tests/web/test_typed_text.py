"""PINs and phone numbers are accepted as phones paste them and as people type them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from otp.typed_text import LONGEST
from tests.support.command import CommandLine
from tests.support.running import ACCOUNT, Sandbox, Service, refusal

Start = Callable[..., Service]

PASTED_PINS = {
    "a blank": "{0} {1}",
    "a dash": "{0}-{1}",
    "a newline": "{0}{1}\n",
    "a newline of Windows": "{0}{1}\r\n",
    "a tab": "\t{0}{1}",
    "a no-break space": "{0}\u00a0{1}",
    "a narrow no-break space": "{0}\u202f{1}",
    "an ideographic space": "{0}\u3000{1}",
    "a line separator": "{0}{1}\u2028",
    "a non-breaking hyphen": "{0}\u2011{1}",
    "an en dash": "{0}\u2013{1}",
    "a minus sign": "{0}\u2212{1}",
    "a zero-width space": "\u200b{0}\u200b{1}\u200b",
    "a byte order mark": "\ufeff{0}{1}",
    "a soft hyphen": "{0}\u00ad{1}",
    "marks of direction": "\u2068{0}{1}\u2069\u200f",
    "as long as it may be": "{0}{1}" + " " * (LONGEST - 6),
}
ZEROS = {"Arabic-Indic": "٠", "Persian": "۰", "full-width": "０", "Devanagari": "०", "Bengali": "০", "bold": "𝟎"}


def in_digits(text: str, zero: str) -> str:
    return "".join(chr(ord(zero) + int(each)) if each.isdecimal() else each for each in text)


@pytest.mark.parametrize("how", PASTED_PINS)
def test_a_pasted_pin_is_the_pin(service: Service, sandbox: Sandbox, phone: str, how: str) -> None:
    service.send(phone)
    pin = sandbox.pin(phone)
    assert service.verify(phone, PASTED_PINS[how].format(pin[:3], pin[3:])).status_code == 200
    assert sandbox.violations == [], "what Infobip is asked is plain"


@pytest.mark.parametrize("script", ZEROS)
def test_a_pin_in_the_digits_of_any_script_is_the_pin(
    service: Service, sandbox: Sandbox, phone: str, script: str
) -> None:
    service.send(phone)
    pin = sandbox.pin(phone)
    assert service.verify(phone, pin[:1] + in_digits(pin[1:], ZEROS[script])).status_code == 200


def test_a_pin_that_is_invalid_after_cleaning_costs_no_guess(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    pin = sandbox.pin(phone)
    for typed in ("12 34-5", f"{pin}\u200b7", f"{pin[:5]}²", f"{pin}\x00", pin + " " * (LONGEST - 5)) * 3:
        assert refusal(service.verify(phone, typed)) == (400, "invalid_pin_format")
    assert sandbox.verifies() == 0
    assert service.verify(phone, pin).status_code == 200


def test_a_wrong_pin_is_counted_however_it_is_spelled(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, PIN_ATTEMPTS="3")
    service.send(phone)
    pin = sandbox.pin(phone)
    wrong = f"{(int(pin) + 1) % 1_000_000:06}"
    for typed in (f"{wrong[:3]} {wrong[3:]}", in_digits(wrong, "٠"), f"\u200b{wrong}"):
        assert refusal(service.verify(phone, typed)) == (401, "invalid_otp")
    assert refusal(service.verify(phone, pin)) == (401, "invalid_otp")
    assert sandbox.verifies() == 3


def test_a_pin_with_letters_is_cleaned_too(start: Start, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    sandbox.reset(fixed_pin="A7CDE9")
    letters = {"PIN_TYPE": "ALPHANUMERIC", "PIN_CASE": "upper"}
    service = start(sandbox.url, **letters)
    service.send(phone)
    assert refusal(service.verify(phone, "Ａ7CDE9")) == (400, "invalid_pin_format"), "letters of no other script"
    assert service.verify(phone, "a۷c\u2013de9\n").status_code == 200


def test_the_command_takes_a_pasted_pin(
    sandbox: Sandbox, redis_url: str, database: redis.Redis, tmp_path: Path, phone: str
) -> None:
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=redis_url, **ACCOUNT)
    assert command.run("send", f"\u202a{phone}\u202c")[0] == 0
    pin = sandbox.pin(phone)
    assert command.run("verify", phone, f"{pin[:3]} {pin[3:]}") == (0, "OTP verified successfully.\n")


PASTED_NUMBERS = {
    "as a contact": "\u202a+{0} {1}\u202c",
    "isolated": "\u2066+{0}{1}\u2069",
    "no-break spaces": "+{0}\u00a0{1}\u202f",
    "non-breaking hyphens": "+{0}\u2011{1}",
    "en dashes": "+{0}\u2013{1}",
    "a minus sign": "+{0}\u2212{1}",
    "a Japanese dash": "+{0}ー{1}",
    "a tab": "+{0}\t{1}",
    "a newline": "+{0}{1}\r\n",
    "in full width": "＋{0}（{1}）",
    "a byte order mark": "\ufeff+{0}{1}",
}


@pytest.mark.parametrize("how", PASTED_NUMBERS)
def test_a_pasted_number_is_the_number_for_every_limit(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str, how: str
) -> None:
    pasted = PASTED_NUMBERS[how].format(phone[1:3], phone[3:])
    assert service.send(pasted).status_code == 200
    assert refusal(service.send(phone)) == (429, "too_many_requests")
    assert refusal(service.verify(phone, "abc")) == (400, "invalid_pin_format")
    assert service.verify(pasted, sandbox.pin(phone)).status_code == 200
    assert {key for key in database.scan_iter("*otp:phoneNumber:*") if phone not in key} == set()


@pytest.mark.parametrize("script", ZEROS)
def test_a_number_in_the_digits_of_any_script_is_the_number(
    service: Service, sandbox: Sandbox, phone: str, script: str
) -> None:
    assert service.send(in_digits(phone, ZEROS[script])).status_code == 200
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_a_number_may_have_100_characters(service: Service, phone: str) -> None:
    room = LONGEST - len(phone)
    assert refusal(service.send("\u200b" * (room + 1) + phone)) == (400, "invalid_phone_number")
    assert service.send("\u200b" * room + phone).status_code == 200
