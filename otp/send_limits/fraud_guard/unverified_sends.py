"""Sends that are not verified yet, by phone: a verify finds here the scopes in which they were counted.

Each entry of a phone's list has a send's time, address, region and client app.
"""

import re
from typing import Any

from otp.errors import Reason
from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import milliseconds
from otp.redis.scripts import Command, Script
from otp.requester import Requester
from otp.send_request import SendRequest

_LINE = re.compile("[0-9]+[.][0-9]+ [^ ]* [^ ]* [^ ]*")  # other lines were written by another program
_ADD = Script("guard_pending_add")
_TAKE = Script("guard_pending_take")


class UnverifiedSends:
    """A limit that lets every send through, and remembers it.

    Args:
        pin_lifetime: seconds in which a send can be verified.
    """

    def __init__(self, redis: RedisClient, pin_lifetime: float) -> None:
        self._redis = redis
        self._pin_lifetime = milliseconds(pin_lifetime)

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Remember the send."""
        if not send_request.phone:
            return []
        return [_ADD([keys.guard_pending(send_request.phone)], _format(send_request), self._pin_lifetime)]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> None:
        """Never refuse."""

    def release(self, send_request: SendRequest) -> list[Command]:
        """Forget the send."""
        return (
            [("LREM", keys.guard_pending(send_request.phone), 1, _format(send_request))] if send_request.phone else []
        )

    def look(self, send_request: SendRequest) -> list[Command]:
        """Read nothing."""
        return []

    def reasons(self, replies: list[Any], send_request: SendRequest) -> dict[Reason, float]:
        """Never refuse."""
        return {}

    def take(self, phone: str) -> list[SendRequest]:
        """The sends to `phone` that a verify has confirmed; each is returned once."""
        (lines,) = self._redis.run(_TAKE([keys.guard_pending(phone)]))
        return [_parse(phone, line) for line in lines if _LINE.fullmatch(line)]


def _format(send_request: SendRequest) -> str:
    by = send_request.requester
    return f"{send_request.at!r} {by.address} {send_request.region} {by.client}"


def _parse(phone: str, line: str) -> SendRequest:
    at, address, region, client = line.split(" ")
    return SendRequest(Recipient("phone", phone, region), Requester(address, client), at=float(at))
