"""A recipient's own gate: the cooldown between two sends to it, and how many it may get. Over all channels together.

See `cooldown` and `sent` of otp.redis.keys.
"""

from collections.abc import Callable
from typing import Any

from limits import RateLimitItem

from errors import TooManyRequests
from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.replies import members, milliseconds
from otp.redis.scripts import Command, Script
from spending.sending import ORDER, Sending

_RESERVE = Script("recipient_reserve")
_RELEASE = Script("recipient_release")
_END = Script("cooldown_end")


class PhoneGate:
    """Lets one send to a phone, or to an e-mail address, through at a time, and only so many of them.

    Args:
        cooldown: seconds until the next one, after a PIN was sent once more for the nth time.
        limit: sends to one recipient, exact in every window.
    """

    def __init__(self, cooldown: Callable[[int], float], limit: RateLimitItem) -> None:
        self._cooldown = cooldown
        self._amount, self._period = limit.amount, limit.get_expiry()

    def ask(self, sending: Sending) -> list[Command]:
        """Take the cooldown, and count."""
        cooldown = milliseconds(self._cooldown(sending.again))
        return [_RESERVE(_keys(sending), self._amount, self._period, sending.reservation, cooldown)]

    def hear(self, replies: list[Any], sending: Sending) -> TooManyRequests | None:
        """A refusal has the seconds until the cooldown or the window has room."""
        wait, full, now = members(replies[0], int, int, int)
        sending.counted_in[ORDER] = now
        return TooManyRequests(wait / 1000, "phone_limit" if full else "cooldown") if wait else None

    def undo(self, sending: Sending) -> list[Command]:
        """Give the cooldown back, and uncount, if it is still this sending's."""
        return [_RELEASE(_keys(sending), sending.reservation)]


def end_cooldown(recipient: Recipient, reservation: str) -> Command:
    """The command that ends the cooldown of `recipient`, if it is still that of the sending with this reservation.

    It stays counted: it went out, and cost money.
    """
    return _END([keys.cooldown(recipient)], reservation)


def _keys(sending: Sending) -> tuple[str, str]:
    return keys.cooldown(sending.recipient), keys.sent(sending.recipient)
