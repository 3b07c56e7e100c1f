"""The scopes that the guard counts by: countries, prefixes and addresses. Each is one hash in Redis."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from otp.errors import Reason
from otp.redis.scripts import Script
from otp.send_request import SendRequest

# monitor counts a send that there is no room for, too; force does not look for room.
ReserveMode = Literal["block", "monitor", "force"]


class Scripts(NamedTuple):
    """`reserve` counts a send if there is room; `record_result` and `unblock` change what it counted."""

    reserve: Script
    record_result: Script
    unblock: Script


_BY_TIME = Scripts(*(Script(f"guard_scope_{name}") for name in ("reserve", "result", "unblock")))
_BY_COUNTRY = Scripts(*(Script(f"guard_address_{name}") for name in ("reserve", "result", "unblock")))
SCRIPTS = {"country": _BY_TIME, "prefix": _BY_TIME, "address": _BY_COUNTRY}
LAST_DIGITS = 4  # of a number: its prefix has all others
PREFIX_DIGITS = range(3, 15 - LAST_DIGITS + 1)  # how many digits prefixes have, of numbers of up to 15 (E.164)


@dataclass(frozen=True)
class Scope:
    """One kind of scope, by its name in SCRIPTS.

    Args:
        reason: of the refusals.
        of: the scope of a send; "" for none.
        allowance: how much may be unverified, in the JSON that the script reads.
        passes_trusted: whether a trusted phone is never refused, whoever asks for the send. If not, it is refused
            unless the requester that verified it asks.
    """

    name: str
    reason: Reason
    of: Callable[[SendRequest], str]
    allowance: str
    passes_trusted: bool = True


class Allowances(NamedTuple):
    """How many unverified sends the guard allows; .env.example explains each as GUARD_... `grace` is in seconds."""

    grace: float
    country_pending: int
    country_hour: int
    country_day: int
    country_least: int
    country_ratio: float
    country_follow: float
    prefix_hour: int
    prefix_ratio: float
    address_countries: int


def scopes(allowances: Allowances) -> list[Scope]:
    """All scopes. E-mails have no scope: SMS pumping cannot earn money with them."""
    common = {"grace": math.ceil(allowances.grace / 60), "follow": allowances.country_follow}
    by_country = {
        "pending": allowances.country_pending,
        "hour": allowances.country_hour,
        "day": allowances.country_day,
        "least": allowances.country_least,
        "ratio": allowances.country_ratio,
    }
    few = allowances.prefix_hour
    by_prefix = {"pending": few, "hour": few, "least": few, "ratio": allowances.prefix_ratio}
    by_address = {"countries": allowances.address_countries}
    return [
        Scope("country", Reason.GUARD_COUNTRY, lambda send: send.region, json.dumps({**common, **by_country})),
        Scope(
            "prefix", Reason.GUARD_PREFIX, lambda send: send.phone[:-LAST_DIGITS], json.dumps({**common, **by_prefix})
        ),
        Scope("address", Reason.GUARD_ADDRESS, _address, json.dumps(by_address), passes_trusted=False),
    ]


def _address(send_request: SendRequest) -> str:
    """Also by client: otherwise one client could name an address, and use up the countries of another's end user."""
    by = send_request.requester
    return send_request.phone and (f"{by.client}/{by.address}" if by.client and by.address else by.address)
