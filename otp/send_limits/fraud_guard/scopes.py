"""What the guard counts by: countries, prefixes and addresses. Each is one hash in Redis, and one script judges it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from otp.phone_numbers import NO_COUNTRY
from otp.redis.scripts import Script
from otp.send_request import SendRequest
from otp.settings.guard import GuardSettings

Mode = Literal["block", "monitor", "count"]


class Scripts(NamedTuple):
    """Lua. `judge` says whether there is room, and counts; `outcome` and `lift` change what it counted."""

    judge: Script
    outcome: Script
    lift: Script


_BY_TIME = Scripts(Script("guard_scope"), Script("guard_scope_outcome"), Script("guard_scope_lift"))
_BY_COUNTRY = Scripts(Script("guard_address"), Script("guard_address_outcome"), Script("guard_address_lift"))
SCRIPTS = {"country": _BY_TIME, "prefix": _BY_TIME, "address": _BY_COUNTRY}


@dataclass(frozen=True)
class Scope:
    """One kind of them, as in SCRIPTS.

    Args:
        of: which one a sending falls into; "" for none.
        allowance: how much may be unverified, in JSON; the script's.
        lets_known_pass: whether a phone that was verified lately passes, whatever is used up and whoever asks. If not,
            it passes for the requester that verified it.
    """

    name: str
    of: Callable[[SendRequest], str]
    allowance: str
    lets_known_pass: bool = True

    def judge_arguments(self, send_request: SendRequest, mode: Mode) -> tuple[str | float, ...]:
        """Of the `judge` script; `monitor` counts where there is no room, too, and `count` does not even judge."""
        return send_request.at, country(send_request), self.allowance, mode


def scopes(settings: GuardSettings) -> list[Scope]:
    """All of them. An e-mail is of none: nobody earns from it what SMS pumping earns."""
    common = {"grace": math.ceil(settings.guard_grace / 60), "follow": settings.guard_country_follow}
    by_country = {
        "pending": settings.guard_country_pending,
        "hour": settings.guard_country_hour,
        "day": settings.guard_country_day,
        "least": settings.guard_country_least,
        "ratio": settings.guard_country_ratio,
    }
    few = settings.guard_prefix_hour
    by_prefix = {"pending": few, "hour": few, "least": few, "ratio": settings.guard_prefix_ratio}
    by_address = {"countries": settings.guard_address_countries}
    return [
        Scope("country", _country, json.dumps({**common, **by_country})),
        Scope("prefix", lambda send_request: send_request.phone[:-4], json.dumps({**common, **by_prefix})),
        Scope("address", _address, json.dumps(by_address), lets_known_pass=False),
    ]


def _country(send_request: SendRequest) -> str:
    return send_request.phone and country(send_request)


def _address(send_request: SendRequest) -> str:
    """By client too: one could otherwise use up the countries of another's end user, by naming that address."""
    by = send_request.requester
    return send_request.phone and (f"{by.client}/{by.address}" if by.client and by.address else by.address)


def country(send_request: SendRequest) -> str:
    """ISO 3166; 001 is the world, for numbers of no country (ITU-T E.164.1)."""
    return send_request.region or NO_COUNTRY
