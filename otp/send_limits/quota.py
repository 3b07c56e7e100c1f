"""Quotas: how many messages may be sent in a period, for each client or for all. Counted in constant memory."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from limits import RateLimitItem

from otp.errors import Reason, TooManyRequests
from otp.redis import keys
from otp.redis.replies import members, number
from otp.redis.scripts import Command, Script
from otp.send_request import SendRequest

PAUSE = 10.0  # seconds between two calls of `on_full` for the same count, in one worker

_RESERVE, _RELEASE = Script("quota_reserve"), Script("quota_release")
_TOTAL_REASONS = {"phone": Reason.TOTAL_LIMIT, "email": Reason.TOTAL_EMAIL_LIMIT}
_CLIENT_REASONS = {"phone": Reason.CLIENT_QUOTA, "email": Reason.CLIENT_EMAIL_QUOTA}


class _Count(NamedTuple):
    key: str
    limit: RateLimitItem
    reason: Reason  # of its refusal
    client: str
    reserve: Command


Counts = Mapping[str, _Count]  # by the kind of the recipient


def counts(phones: RateLimitItem, emails: RateLimitItem, client: str = "") -> Counts:
    """The counts of `client`, or of the whole service.

    Messages to phones and e-mails are counted separately: e-mails cost nothing, and strangers who have them sent must
    not stop everybody's SMS.
    """
    return {"phone": _count(phones, "phone", client), "email": _count(emails, "email", client)}


def _count(limit: RateLimitItem, kind: Literal["phone", "email"], client: str) -> _Count:
    key, reasons = keys.quota(limit, kind, client), _CLIENT_REASONS if client else _TOTAL_REASONS
    return _Count(key, limit, reasons[kind], client, _RESERVE([key], limit.amount, limit.get_expiry()))


class Quota:
    """Lets at most so many sends through in any window of the period; a counted send leaves it up to 1.7 % late.

    Args:
        of_clients: the counts of the clients that have their own, by the client's name.
        of_others: the counts of all other clients together; empty where these are not limited.
        on_full: called with the reason, the limit and the client when a send is refused; must not block.
    """

    def __init__(
        self,
        of_clients: Mapping[str, Counts],
        of_others: Counts,
        on_full: Callable[[Reason, RateLimitItem, str], None],
    ) -> None:
        self._of_clients = of_clients
        self._of_others = of_others
        self._on_full = on_full
        self._reported: dict[str, float] = {}  # when `on_full` was called (time.monotonic()), by key

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Count the send."""
        count = self._count_for(send_request)
        return [count.reserve] if count else []

    def refusal(self, replies: list[Any], send_request: SendRequest) -> TooManyRequests | None:
        """A refusal has the seconds until the window has room."""
        count = self._count_for(send_request)
        if not count:
            return None
        counted, part, wait = members(replies[0], int, int, int)
        if not counted:
            self._report_full(count)
            return TooManyRequests(wait / 1000, count.reason)
        send_request.counted_in[count.key] = part
        return None

    def release(self, send_request: SendRequest) -> list[Command]:
        """Uncount the send, in that part of the period in which it was counted."""
        count = self._count_for(send_request)
        return [_RELEASE([count.key], send_request.counted_in[count.key])] if count else []

    def look(self, send_request: SendRequest) -> list[Command]:
        """Read until when the window is full."""
        count = self._count_for(send_request)
        return [("HMGET", count.key, "room")] if count else []

    def reasons(self, replies: list[Any], send_request: SendRequest) -> dict[Reason, float]:
        """The window, once a send was refused in it."""
        count = self._count_for(send_request)
        return {count.reason: number(replies[0][0]) / 1_000_000} if count else {}

    def _count_for(self, send_request: SendRequest) -> _Count | None:
        counts = self._of_clients.get(send_request.requester.client, self._of_others)
        return counts.get(send_request.recipient.kind)

    def _report_full(self, count: _Count) -> None:
        now = time.monotonic()
        if now - self._reported.get(count.key, -PAUSE) >= PAUSE:
            self._reported[count.key] = now
            self._on_full(count.reason, count.limit, count.client)
