"""May this phone be sent to now? Its cooldown, its limit and the day's limit, asked in one round trip.

otp:cooldown:+14155552671          the id of the send that holds it   lives as long as the cooldown
{otp:cooldown:+14155552671}:sent   the times of its sends             lives as long as the phone's limit
"""

import secrets
import time

from limits import RateLimitItem
from limits.strategies import SlidingWindowCounterRateLimiter

from connection import Client
from errors import TooManyRequests
from store import milliseconds, redis_answers
from windows import ACQUIRE, ACQUIRE_SLIDING, WindowStorage

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
_UNCOUNT = "if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end"


class Admission:
    """Lets one send to a phone through at a time, and only so many of them.

    Args:
        cooldown: seconds between two sends to one phone.
        per_phone: sends to one phone, exact in every window.
        total: sends in all, counted in constant memory.
    """

    def __init__(self, client: Client, cooldown: float, per_phone: RateLimitItem, total: RateLimitItem) -> None:
        self._client = client
        self._cooldown = milliseconds(cooldown)
        self._per_phone = (per_phone.amount, per_phone.get_expiry())
        self._total = total
        self._storage = WindowStorage(client=client)
        self._day = self._storage.sliding_keys(total.key_for("total"))

    def enter(self, phone: str) -> str:
        """Take the cooldown and count the send; returns the id with which `leave` undoes both.

        Raises:
            TooManyRequests: with the seconds until the cooldown or the window that refused has room.
        """
        reservation = secrets.token_hex(8)
        with redis_answers():
            # A Cluster's pipeline takes EVAL only by its name.
            pipe = self._client.pipeline(transaction=False)
            asked = (time.time(), *self._per_phone, 1, reservation, self._cooldown)
            pipe.execute_command("EVAL", _ENTER, 2, *_keys(phone), *asked)
            pipe.execute_command(
                "EVAL", ACQUIRE_SLIDING, 2, *self._day, self._total.amount, self._total.get_expiry(), 1
            )
            refused, day_has_room = pipe.execute()
        if refused is not None:
            if day_has_room:
                self._uncount()
            raise TooManyRequests(self._wait(refused))
        if not day_has_room:
            self._release(phone, reservation)
            raise TooManyRequests(self._wait_for_the_day())
        return reservation

    def leave(self, phone: str, reservation: str) -> None:
        """Undo `enter` where nothing was sent."""
        self._release(phone, reservation)
        self._uncount()

    def _release(self, phone: str, reservation: str) -> None:
        with redis_answers():
            self._client.eval(_LEAVE, 2, *_keys(phone), reservation)

    def _uncount(self) -> None:
        with redis_answers():
            self._client.eval(_UNCOUNT, 1, self._day[1])

    def _wait(self, refused: int | str) -> float:
        if isinstance(refused, int):
            return refused / 1000
        return float(refused) + self._per_phone[1] - time.time()

    def _wait_for_the_day(self) -> float:
        window = SlidingWindowCounterRateLimiter(self._storage).get_window_stats(self._total, "total")
        return window.reset_time - time.time()


def _keys(phone: str) -> tuple[str, str]:
    return f"otp:cooldown:{phone}", f"{{otp:cooldown:{phone}}}:sent"
