"""Masks recipients for the log: readers can recognize a recipient, but not contact it."""

import hmac
import secrets
from ipaddress import ip_network
from typing import Literal, NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from otp.recipients import Recipient

_OF_THIS_START = secrets.token_bytes(32)  # drawn before gunicorn forks: all workers have the same
_CALLING_CODES = frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))  # none is the beginning of another
FINGERPRINT = 16  # hex digits


class Masked(NamedTuple):
    """`masked` is +49***78, or ***@example.com; `fingerprint` is the same for one recipient under one salt.

    `country` is that of the recipient.
    """

    kind: Literal["phone", "email"] = "phone"
    masked: str | None = None
    fingerprint: str | None = None
    country: str | None = None


_NOBODY = Masked()


def mask_address(address: str) -> str:
    """The network of an IP address, or of a network: of IPv4 the /24, of IPv6 the /48."""
    network = ip_network(address)
    return str(network.supernet(new_prefix=24 if network.version == 4 else 48))


class Mask:
    """Masks recipients with `salt`; an empty one stands for a random one of this start."""

    def __init__(self, salt: str) -> None:
        self._salt = salt.encode() or _OF_THIS_START

    def of(self, recipient: Recipient | None) -> Masked:
        """Mask `recipient`. Without one, all members are None but the kind."""
        if recipient is None:
            return _NOBODY
        address = recipient.address
        if recipient.kind == "email":
            masked = f"***@{address.rpartition('@')[2]}"
            return Masked("email", masked, self.fingerprint(address.lower()), recipient.country)
        masked = f"+{_calling_code(address)}***{address[-2:]}"
        return Masked("phone", masked, self.fingerprint(address), recipient.country)

    def fingerprint(self, address: str) -> str:
        """The first hex digits of HMAC-SHA256 of the number as E.164, with its +, or of the address in lower case."""
        return hmac.digest(self._salt, address.encode(), "sha256").hex()[:FINGERPRINT]


def _calling_code(phone: str) -> str:
    return next((phone[1:end] for end in (2, 3, 4) if phone[1:end] in _CALLING_CODES), "")
