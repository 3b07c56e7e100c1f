"""The gate that everybody shares: how many SMS are sent in all. Counted in constant memory.

LIMITS:LIMITER/total/10000/1/day   sends by sixtieths of the period   lives a little longer than the period
"""

from typing import Any

from limits import RateLimitItem

from errors import TooManyRequests
from otp.redis.replies import members
from otp.redis.scripts import Command, Script
from spending.sending import Sending
from spending.windows import key_of

_RESERVE, _RELEASE = Script("quota_reserve"), Script("quota_release")


class TotalGate:
    """Lets so many sends through, never more in any window; what was counted leaves up to 1.7 % of the period late.

    `name` tells its count from another's, `reason` its refusal.
    """

    def __init__(self, limit: RateLimitItem, name: str = "total", reason: str = "total_limit") -> None:
        self._arguments = limit.amount, limit.get_expiry()
        self._keys = (key_of(limit, name),)
        self._reason = reason

    def ask(self, sending: Sending) -> list[Command]:
        """Count."""
        return [_RESERVE(self._keys, *self._arguments)]

    def hear(self, replies: list[Any], sending: Sending) -> TooManyRequests | None:
        """A refusal has the seconds until the window has room."""
        counted, part, wait = members(replies[0], int, int, int)
        if not counted:
            return TooManyRequests(wait / 1000, self._reason)
        sending.counted_in[self._keys[0]] = part
        return None

    def undo(self, sending: Sending) -> list[Command]:
        """Uncount, in that part of the period in which it was counted."""
        return [_RELEASE(self._keys, sending.counted_in[self._keys[0]])]
