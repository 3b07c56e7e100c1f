"""The gate that everybody shares: how much is sent in all. Counted in constant memory."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from limits import RateLimitItem

from otp.errors import Reason, TooManyRequests
from otp.redis import keys
from otp.redis.replies import members
from otp.redis.scripts import Command, Script
from otp.send_request import SendRequest

PAUSE = 10.0  # seconds after which a worker says again that there is no room

_RESERVE, _RELEASE = Script("quota_reserve"), Script("quota_release")


class _Count(NamedTuple):
    keys: tuple[str]
    amount: int
    period: int  # seconds
    reason: Reason  # of its refusal
    limit: RateLimitItem

    @classmethod
    def of(cls, limit: RateLimitItem, name: str, reason: Reason) -> "_Count":
        return cls((keys.rate_limit(limit, name),), limit.amount, limit.get_expiry(), reason, limit)


class Quota:
    """Lets so many sends through, never more in any window; what was counted leaves up to 1.7 % of the period late.

    Messages to phones and e-mails are counted apart: strangers who have mails sent, which cost nothing, must not stop
    the SMS of everybody. `name` tells its counts from another's, `reasons` are those of its refusals. `on_full` is
    called with the reason and the limit where it refuses, and must not block.
    """

    def __init__(
        self,
        phones: RateLimitItem,
        emails: RateLimitItem,
        on_full: Callable[[Reason, RateLimitItem], None],
        name: str = "total",
        reasons: tuple[Reason, Reason] = (Reason.TOTAL_LIMIT, Reason.TOTAL_EMAIL_LIMIT),
    ) -> None:
        self._on_full = on_full
        self._said: dict[str, float] = {}  # when, by reason and by time.monotonic()
        self._counts = {
            "phone": _Count.of(phones, name, reasons[0]),
            "email": _Count.of(emails, f"{name}:email", reasons[1]),
        }

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Count."""
        count = self._counts[send_request.recipient.kind]
        return [_RESERVE(count.keys, count.amount, count.period)]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> TooManyRequests | None:
        """A refusal has the seconds until the window has room."""
        counted, part, wait = members(replies[0], int, int, int)
        count = self._counts[send_request.recipient.kind]
        if not counted:
            self._say_full(count)
            return TooManyRequests(wait / 1000, count.reason)
        send_request.counted_in[count.keys[0]] = part
        return None

    def release(self, send_request: SendRequest) -> list[Command]:
        """Uncount, in that part of the period in which it was counted."""
        keys = self._counts[send_request.recipient.kind].keys
        return [_RELEASE(keys, send_request.counted_in[keys[0]])]

    def _say_full(self, count: _Count) -> None:
        now = time.monotonic()
        if now - self._said.get(count.reason, -PAUSE) >= PAUSE:
            self._said[count.reason] = now
            self._on_full(count.reason, count.limit)
