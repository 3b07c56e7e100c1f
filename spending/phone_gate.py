"""A phone's own gate: the cooldown between two sends to it, and how many it may get.

otp:cooldown:+14155552671          the id of the send that holds it   lives as long as the cooldown
{otp:cooldown:+14155552671}:sent   the times of its sends             lives as long as the phone's limit
"""

import time
from typing import Any

from limits import RateLimitItem

from errors import TooManyRequests
from spending.admission import Sending, script
from spending.windows import ACQUIRE
from store import milliseconds

# The braces put both keys into one slot of a Cluster, so that cooldown and limit are one decision: who comes
# during the cooldown is never counted against the limit. Answers nil to who may send, the milliseconds that a
# cooldown has left, or the time of the entry that must leave the full window first.
_ENTER = f"""
if not redis.call('SET', KEYS[1], ARGV[5], 'NX', 'PX', ARGV[6]) then return redis.call('PTTL', KEYS[1]) end
if (function(KEYS) {ACQUIRE} end)({{KEYS[2]}}) then return false end
redis.call('DEL', KEYS[1])
return redis.call('LINDEX', KEYS[2], ARGV[2] - 1)
"""
_LEAVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[1])
redis.call('LPOP', KEYS[2])
"""


class PhoneGate:
    """Lets one send to a phone through at a time, and only so many of them.

    Args:
        cooldown: seconds between two sends to one phone.
        limit: sends to one phone, exact in every window.
    """

    def __init__(self, cooldown: float, limit: RateLimitItem) -> None:
        self._cooldown = milliseconds(cooldown)
        self._amount, self._period = limit.amount, limit.get_expiry()

    def ask(self, pipe: Any, sending: Sending) -> None:
        """Take the cooldown, and count."""
        asked = (time.time(), self._amount, self._period, 1, sending.reservation, self._cooldown)
        script(pipe, _ENTER, _keys(sending), *asked)

    def hear(self, replies: list[Any], sending: Sending) -> TooManyRequests | None:
        """A refusal has the seconds until the cooldown or the window has room."""
        (refused,) = replies
        if refused is None:
            return None
        return TooManyRequests(
            refused / 1000 if isinstance(refused, int) else float(refused) + self._period - time.time()
        )

    def undo(self, pipe: Any, sending: Sending) -> None:
        """Give the cooldown back, and uncount, if it is still this sending's."""
        script(pipe, _LEAVE, _keys(sending), sending.reservation)


def _keys(sending: Sending) -> tuple[str, str]:
    return f"otp:cooldown:{sending.phone}", f"{{otp:cooldown:{sending.phone}}}:sent"
