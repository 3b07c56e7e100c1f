"""The limits on one recipient: the cooldown between two sends, and how many it may get, over all channels together."""

import math
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from limits import RateLimitItem

from otp.errors import Reason, TooManyRequests
from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members, milliseconds, number
from otp.redis.scripts import Command, Script
from otp.requester import SOMEBODY, TRUSTED_BY
from otp.send_request import SendRequest

LONGEST_LOCKOUT = 60 * 60  # seconds, of a trusted recipient
_RULES = {1: Reason.PHONE_LIMIT, 2: Reason.PHONE_SHARE}
_RESERVE = Script("recipient_reserve")
_RELEASE = Script("recipient_release")
_END = Script("cooldown_end")


class RecipientLimit:
    """Lets one send to a recipient through in each cooldown, and only so many in each window.

    Args:
        cooldown: seconds until the next send, after a PIN was sent once more for the nth time.
        limits: sends to one recipient; each is exact in every window.
        share: the part of each limit that one requester may use, over 0 and up to 1. The result is rounded up.
    """

    def __init__(self, cooldown: Callable[[int], float], limits: Sequence[RateLimitItem], share: Decimal) -> None:
        self._cooldown = cooldown
        shares = [math.ceil(limit.amount * share) for limit in limits]
        windows = zip(limits, shares, strict=True)
        self._limits = limits
        self._windows = [n for limit, of_one in windows for n in (limit.amount, of_one, limit.get_expiry())]

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Start the cooldown, and count the send."""
        cooldown, who = milliseconds(self._cooldown(send_request.resends)), send_request.requester.fingerprint
        named = [*_keys(send_request), keys.trusted(send_request.recipient)]
        return [_RESERVE(named, send_request.reservation, cooldown, who, LONGEST_LOCKOUT, *self._windows)]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> TooManyRequests | None:
        """A refusal has the seconds until the cooldown, or each of the windows, has room."""
        wait, rule, now, trusted_by = members(replies[0], int, int, int, str)
        send_request.reserved.order = now
        if TRUSTED_BY.fullmatch(trusted_by):  # another program may have written there
            send_request.reserved.trusted_by = trusted_by
        return TooManyRequests(wait / 1000, _RULES.get(rule, Reason.COOLDOWN)) if wait else None

    def release(self, send_request: SendRequest) -> list[Command]:
        """End the cooldown and uncount the send, if the cooldown is still that of this send."""
        return [_RELEASE(_keys(send_request), send_request.reservation)]

    def look(self, send_request: SendRequest) -> list[Command]:
        """Read the cooldown, the sends, and whether the recipient is trusted."""
        cooldown, sends, _ = _keys(send_request)
        return [("PTTL", cooldown), ("LRANGE", sends, 0, -1), ("PTTL", keys.trusted(send_request.recipient))]

    def reasons(self, replies: list[Any], send_request: SendRequest) -> dict[Reason, float]:
        """The cooldown and the windows. The share of a requester is not one of the recipient."""
        cooldown, sends, trusted = replies
        if trusted > 0:
            send_request.reserved.trusted_by = SOMEBODY
        longest = LONGEST_LOCKOUT if trusted > 0 else math.inf
        wait = max(left_and_wait(limit, sends, longest)[1] for limit in self._limits)
        waits = {Reason.COOLDOWN: cooldown / 1000, Reason.PHONE_LIMIT: wait}
        return {reason: time.time() + wait for reason, wait in waits.items() if wait > 0}


def left_and_wait(limit: RateLimitItem, times: Sequence[str], longest: float = math.inf) -> tuple[int, float]:
    """How many of `limit` are left, and the seconds until there is room, at most until `longest` after the newest.

    Args:
        times: when something was counted (microseconds since 1970), the newest first.
    """
    ages = [time.time() - number(at) / 1_000_000 for at in times]
    left = limit.amount - sum(age < limit.get_expiry() for age in ages)
    wait = min(limit.get_expiry() - ages[limit.amount - 1], longest - ages[0]) if left <= 0 else 0
    return max(0, left), max(0, wait)


def most_of(limit: RateLimitItem) -> int:
    """How many may be sent to one recipient in the period of `limit`, including the sends that end a lock-out.

    A lock-out ends at most once an hour for everybody, and once for the requester that has verified the recipient.
    """
    return limit.amount + 2 * math.ceil(limit.get_expiry() / LONGEST_LOCKOUT)


def end_cooldown(redis: RedisClient, recipient: Recipient, reservation: str) -> None:
    """End the cooldown of `recipient`, if it is still that of the send with this reservation.

    The send stays counted: it went out, and cost money.

    Raises:
        StoreUnavailable: Redis failed.
    """
    redis.run(_END([keys.cooldown(recipient)], reservation))


def _keys(send_request: SendRequest) -> list[str]:
    recipient = send_request.recipient
    return [keys.cooldown(recipient), keys.sends(recipient), keys.sends_by(recipient, send_request.requester)]
