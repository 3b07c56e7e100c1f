"""Test numbers: phone numbers whose code is fixed, for app reviewers and for tests in production. They get no message.

A provider that wraps the provider of all other numbers. The rules do not know of it, so that cooldown, limits, guesses
and the single use hold for test numbers, too.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import pairwise

from otp import request_record
from otp.errors import InvalidPhoneNumber, PinGone, Reason
from otp.phone_numbers import PhoneBook
from otp.ports import PinProvider, SentPin
from otp.recipients import Recipient
from otp.send_request import SendRequest
from otp.setting_types import json_or_file

LONGEST = 90  # days

_PREFIX = "test-"  # of pin_ids; those of Infobip have no dash
_PUBLISHED = "493817"  # the example here and in the documents
_LIKE = f'{{"+14155550199": "{_PUBLISHED}"}}'


class FixedCodes:
    """Checks the fixed codes of test numbers, which get no message; passes other numbers to `provider`.

    A PIN of a test number is gone when the test period ends, or when its number is no longer listed.

    Args:
        codes: by canonical phone number, see `read_codes`.
        until: Unix seconds; then test numbers are numbers like any other.
        spell: as in `InfobipClient`.
        pause: waits as long as Infobip takes to check a PIN, so that the time does not reveal a test number.
    """

    def __init__(
        self,
        provider: PinProvider,
        codes: Mapping[str, str],
        until: float,
        spell: Callable[[str], str],
        pause: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._handles = {phone: _PREFIX + sha256(phone.encode()).hexdigest()[:16] for phone in codes}
        self._codes = {self._handles[phone]: spell(code) for phone, code in codes.items()}
        self._until = until
        self._spell = spell
        self._pause = pause
        self._clock = clock

    def send_pin(self, send_request: SendRequest) -> SentPin:
        """Make a PIN with the fixed code, or have the provider make and send one."""
        handle = self._handles.get(send_request.phone)
        if handle is None or self._clock() >= self._until:
            return self._provider.send_pin(send_request)
        request_record.current().is_test = True
        return SentPin(f"{handle}-{secrets.token_hex(8)}")

    def resend_pin(self, pin_id: str, send_request: SendRequest) -> SentPin:
        """Do nothing, or have the provider send the PIN once more. Raises PinGone like `verify_pin`."""
        if not pin_id.startswith(_PREFIX):
            return self._provider.resend_pin(pin_id, send_request)
        self._code(pin_id)
        return SentPin(pin_id)

    def verify_pin(self, pin_id: str, pin: str) -> bool:
        """Whether `pin` is right. Raises PinGone if the number is no longer a test number."""
        if not pin_id.startswith(_PREFIX):
            return self._provider.verify_pin(pin_id, pin)
        code = self._code(pin_id)
        self._pause()
        return hmac.compare_digest(self._spell(pin).encode(), code.encode())

    def _code(self, pin_id: str) -> str:
        request_record.current().is_test = True
        code = self._codes.get(pin_id.rpartition("-")[0])
        if code is None or self._clock() >= self._until:
            raise PinGone(reason=Reason.GONE_PIN)
        return code


def read_codes(given: str) -> dict[str, str]:
    """The fixed codes in TEST_NUMBERS, by canonical phone number.

    Raises:
        ValueError: one sentence about what is wrong. It quotes neither a number nor a code.
    """
    codes = json_or_file(given, _LIKE)
    if not all(map(_is_whole_number, codes)):
        raise ValueError("must be of whole phone numbers like +14155550199; e-mail addresses have no codes")
    if not all(isinstance(code, str) for code in codes.values()):
        raise ValueError("must have a code in quotes for each number")
    if any(map(_is_easy, codes.values())):
        raise ValueError("has a code that is easy to guess: repeated or counting digits, or the documents' example")
    by_number = {Recipient.at(phone).canonical: code for phone, code in codes.items()}
    if len(by_number) < len(codes):
        raise ValueError("has one number twice, in two spellings")
    return by_number


def end_of(day: date) -> float:
    """The end of `day` by UTC, in Unix seconds."""
    return datetime.combine(day, datetime.max.time(), UTC).timestamp()


def check_until(day: date) -> date:
    """Return `day`. Raises ValueError if it is more than LONGEST days ahead."""
    if (day - datetime.now(UTC).date()).days > LONGEST:
        raise ValueError(f"must be at most {LONGEST} days ahead: everyone who learns a fixed code can use it")
    return day


def _is_whole_number(text: str) -> bool:
    with suppress(InvalidPhoneNumber):
        return PhoneBook().read(text).address == text
    return False


def _is_easy(code: str) -> bool:
    """Whether it repeats itself, counts up or down, or is published."""
    steps, half = {ord(later) - ord(earlier) for earlier, later in pairwise(code)}, len(code) // 2
    repeats = len(set(code)) < 3 or code[::2] == code[1::2] or code[:half] == code[half:]
    return repeats or steps in ({1}, {-1}) or code == _PUBLISHED
