"""Phone numbers as they may stand in a log: who reads it can follow one, and cannot call it."""

import hmac
import secrets
from typing import NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from phone import region_of

_OF_THIS_START = secrets.token_bytes(32)  # drawn before gunicorn forks: all workers have the same
FINGERPRINT = 16  # hex digits


class MaskedPhone(NamedTuple):
    """`shown` is +49***78; `fingerprint` is the same for one number under one salt; `country` is an ISO 3166 region."""

    shown: str | None
    fingerprint: str | None
    country: str | None


class Mask:
    """Masks phones with `salt`; an empty one stands for a random one of this start."""

    def __init__(self, salt: str) -> None:
        self._salt = salt.encode() or _OF_THIS_START

    def of(self, phone: str) -> MaskedPhone:
        """Mask `phone` (E.164); an empty one is none."""
        if not phone:
            return MaskedPhone(None, None, None)
        shown = f"+{_calling_code(phone)}***{phone[-2:]}"
        return MaskedPhone(shown, self.fingerprint(phone), region_of(phone) or "none")

    def fingerprint(self, phone: str) -> str:
        """The first hex digits of HMAC-SHA256 of the number as E.164, with its +."""
        return hmac.digest(self._salt, phone.encode(), "sha256").hex()[:FINGERPRINT]


def _calling_code(phone: str) -> str:
    codes = (phone[1 : 1 + length] for length in (1, 2, 3))  # no code is the beginning of another
    return next((code for code in codes if int(code) in COUNTRY_CODE_TO_REGION_CODE), "")
