"""A quota: how many messages may be sent in a period. It is counted in constant memory."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from limits import RateLimitItem

from otp.errors import Reason, TooManyRequests
from otp.redis import keys
from otp.redis.replies import members
from otp.redis.scripts import Command, Script
from otp.send_request import SendRequest

PAUSE = 10.0  # seconds between two calls of `on_full` for the same reason, in one worker

_RESERVE, _RELEASE = Script("quota_reserve"), Script("quota_release")
_TOTAL_REASONS = (Reason.TOTAL_LIMIT, Reason.TOTAL_EMAIL_LIMIT)
_CLIENT_REASONS = (Reason.CLIENT_QUOTA, Reason.CLIENT_EMAIL_QUOTA)


class _Count(NamedTuple):
    keys: tuple[str]
    amount: int
    period: int  # seconds
    reason: Reason  # of its refusal
    limit: RateLimitItem

    @classmethod
    def of(cls, limit: RateLimitItem, key: str, reason: Reason) -> "_Count":
        return cls((key,), limit.amount, limit.get_expiry(), reason, limit)


class Quota:
    """Lets at most so many sends through in any window of the period; a counted send leaves it up to 1.7 % late.

    Messages to phones and e-mails are counted separately: e-mails cost nothing, and strangers who have them sent must
    not stop everybody's SMS. The quota is that of `client`, or of the whole service. When a send is refused, `on_full`
    is called with the reason, the limit and the client; it must not block.
    """

    def __init__(
        self,
        phones: RateLimitItem,
        emails: RateLimitItem,
        on_full: Callable[[Reason, RateLimitItem, str], None],
        client: str = "",
    ) -> None:
        reasons = _CLIENT_REASONS if client else _TOTAL_REASONS
        self._on_full = on_full
        self._client = client
        self._reported: dict[str, float] = {}  # when `on_full` was called (time.monotonic()), by reason
        self._counts = {
            "phone": _Count.of(phones, keys.quota(phones, "phone", client), reasons[0]),
            "email": _Count.of(emails, keys.quota(emails, "email", client), reasons[1]),
        }

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Count the send."""
        count = self._counts[send_request.recipient.kind]
        return [_RESERVE(count.keys, count.amount, count.period)]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> TooManyRequests | None:
        """A refusal has the seconds until the window has room."""
        counted, part, wait = members(replies[0], int, int, int)
        count = self._counts[send_request.recipient.kind]
        if not counted:
            self._report_full(count)
            return TooManyRequests(wait / 1000, count.reason)
        send_request.counted_in[count.keys[0]] = part
        return None

    def release(self, send_request: SendRequest) -> list[Command]:
        """Uncount the send, in that part of the period in which it was counted."""
        keys = self._counts[send_request.recipient.kind].keys
        return [_RELEASE(keys, send_request.counted_in[keys[0]])]

    def _report_full(self, count: _Count) -> None:
        now = time.monotonic()
        if now - self._reported.get(count.reason, -PAUSE) >= PAUSE:
            self._reported[count.reason] = now
            self._on_full(count.reason, count.limit, self._client)
