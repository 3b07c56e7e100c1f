"""A recipient's own gate: the cooldown between two sends to it, and how many it may get. Over all channels together.

otp:cooldown:+14155552671          the id of the send that holds it   lives as long as the cooldown
{otp:cooldown:+14155552671}:sent   the times of its sends             lives as long as the recipient's limit
"""

from collections.abc import Callable
from typing import Any

from limits import RateLimitItem

from errors import TooManyRequests
from spending.admission import script
from spending.sending import Sending
from spending.windows import ACQUIRE, NOW
from store import milliseconds, replied

# The braces put both keys into one slot of a Cluster, so that cooldown and limit are one decision: who comes
# during the cooldown is never counted against the limit. Answers 0 to who may send, else the milliseconds that the
# cooldown has left, or until the first entry leaves the full window; and 1 where it was the window.
_ENTER = f"""
{NOW}
local amount, period = tonumber(ARGV[1]), tonumber(ARGV[2])
if not redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[4]) then
    return {{math.max(1, redis.call('PTTL', KEYS[1])), 0}}
end
if (function(KEYS, ARGV) {ACQUIRE} end)({{KEYS[2]}}, {{now, amount, period, 1}}) then return {{0, 0}} end
redis.call('DEL', KEYS[1])
return {{math.max(1, (redis.call('LINDEX', KEYS[2], amount - 1) + period - now) * 1000), 1}}
"""
_LEAVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[1])
redis.call('LPOP', KEYS[2])
"""
_FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class PhoneGate:
    """Lets one send to a phone, or to an e-mail address, through at a time, and only so many of them.

    Args:
        cooldown: seconds until the next one, after a PIN was sent once more for the nth time.
        limit: sends to one recipient, exact in every window.
    """

    def __init__(self, cooldown: Callable[[int], float], limit: RateLimitItem) -> None:
        self._cooldown = cooldown
        self._amount, self._period = limit.amount, limit.get_expiry()

    def ask(self, pipe: Any, sending: Sending) -> None:
        """Take the cooldown, and count."""
        cooldown = milliseconds(self._cooldown(sending.again))
        script(pipe, _ENTER, _keys(sending), self._amount, self._period, sending.reservation, cooldown)

    def hear(self, replies: list[Any], sending: Sending) -> TooManyRequests | None:
        """A refusal has the seconds until the cooldown or the window has room."""
        wait, full = replied(replies[0], int, int)
        return TooManyRequests(wait / 1000, "phone_limit" if full else "cooldown") if wait else None

    def undo(self, pipe: Any, sending: Sending) -> None:
        """Give the cooldown back, and uncount, if it is still this sending's."""
        script(pipe, _LEAVE, _keys(sending), sending.reservation)


def free_cooldown(pipe: Any, to: str, reservation: str) -> None:
    """Put into `pipe` what ends the cooldown of `to`, if it is still that of the sending with this reservation.

    It stays counted: it went out, and cost money.
    """
    script(pipe, _FREE, (_cooldown(to),), reservation)


def _keys(sending: Sending) -> tuple[str, str]:
    key = _cooldown(sending.to)
    return key, f"{{{key}}}:sent"


def _cooldown(to: str) -> str:
    return f"otp:cooldown:{to.lower()}"
