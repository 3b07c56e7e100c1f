"""Scopes of the guard: from what people type to the one spelling that the guard counts by."""

import re
from contextlib import suppress

from phonenumbers import SUPPORTED_REGIONS

from otp.errors import InvalidPhoneNumber
from otp.phone_numbers import NO_COUNTRY, PhoneBook
from otp.recipients import Recipient
from otp.requester import SUBNET, UNKNOWN
from otp.send_limits.fraud_guard.scopes import PREFIX_DIGITS
from otp.typed_text import in_ascii
from otp.web.api_keys import CLIENT_NAME
from otp.web.client_ip import network_of, read_address

_BETWEEN = re.compile("[ ()./-]+")
_PREFIX = re.compile("(?:[+]|00)?([1-9][0-9]+)")
_CLIENT = re.compile(CLIENT_NAME)  # cannot be an address, which has dots or colons


def read_scope(kind: str, typed: str) -> str:
    """The scope of `kind` (country, prefix, address, phone) that `typed` means.

    Raises:
        ValueError: there is no such scope. The message says what to type.
    """
    return {"country": _country, "prefix": _prefix, "address": _address, "phone": _phone}[kind](in_ascii(typed).strip())


def is_number(prefix: str) -> bool:
    """Whether the prefix is a whole phone number, as some are."""
    with suppress(InvalidPhoneNumber):
        return bool(PhoneBook().read(prefix))
    return False


def _country(typed: str) -> str:
    if (region := typed.upper()) not in {*SUPPORTED_REGIONS, NO_COUNTRY}:
        raise ValueError("must be a country by its ISO 3166 code, like DE, or 001 for numbers of no country")
    return region


def _prefix(typed: str) -> str:
    read = _PREFIX.fullmatch(_BETWEEN.sub("", typed))
    if not read or len(read[1]) not in PREFIX_DIGITS:
        raise ValueError("must be a number with its country code and without its last four digits, like +4915112345")
    return Recipient("phone", f"+{read[1]}").canonical


def _phone(typed: str) -> str:
    try:
        return PhoneBook().read(typed).canonical
    except InvalidPhoneNumber as e:
        raise ValueError("must be a phone number with its plus, like +442071838750") from e


def _address(typed: str) -> str:
    client, slash, address = typed.partition("/")
    if not slash or not _CLIENT.fullmatch(client.lower()):
        client, slash, address = "", "", typed
    try:
        return f"{client.lower()}{slash}{_network(address)}"
    except ValueError as e:
        raise ValueError(
            "must be an IP address like 192.0.2.1 or 2001:db8::/64, or one of a client app's: shop/192.0.2.1"
        ) from e


def _network(address: str) -> str:
    if address == UNKNOWN:
        return address
    return network_of(read_address(address.removesuffix(SUBNET) if ":" in address else address))
