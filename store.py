"""Which Infobip PIN belongs to which phone, and which proofs are used up, in Redis. Verbs, each one atomic step.

    otp:phoneNumber:+14155552671   hash of pinId, attempts, verification, again   lives as long as the PIN
    otp:email:jo@example.com       the same of an e-mail address
    otp:redeemed:<id of a proof>   that it was redeemed                           lives longer than the proof

`verification` has hashes of the verification ids: who reads Redis learns no id, and how long two hashes take to be
compared says nothing of one. `again` is how often the same PIN was sent once more.

Every verb raises StoreUnavailable when Redis does not answer in time, or answers with an error or with nonsense.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from gevent import Timeout
from redis import RedisError
from redis.exceptions import RedisClusterException

from channels import member_of
from connection import Client
from errors import StoreUnavailable
from telemetry.calls import RedisCall

log = logging.getLogger("otp.redis")

Commands = Sequence[tuple[str | int, ...]]  # to Redis, each of one key

# Beyond the timeouts of a socket, for several of them may add up: to get a connection, to have it opened, to find the
# primary of a Sentinel set or the node of a Cluster.
LONGEST = 1.5  # seconds

# Scripts go out whole (EVAL): Redis keeps them compiled by their hash, and neither a restart, a failover
# nor SCRIPT FLUSH can take them away.
SAVE = """
local replaced = redis.pcall('HGET', KEYS[1], 'verification')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'attempts', 0, unpack(ARGV, 2))
return {redis.call('PEXPIRE', KEYS[1], ARGV[1]), type(replaced) == 'string' and replaced or ''}
"""
ATTEMPT = """
local pin = redis.call('HMGET', KEYS[1], 'pinId', 'attempts', 'verification')
if not pin[1] or tonumber(pin[2]) >= tonumber(ARGV[1]) then return false end
if ARGV[2] ~= '' and not string.find(pin[3] or '', ARGV[2], 1, true) then return false end
return {pin[1], redis.call('HINCRBY', KEYS[1], 'attempts', 1), pin[3] or ''}
"""
PENDING = """
local pin = redis.call('HMGET', KEYS[1], 'pinId', 'attempts', 'again', 'verification')
if not pin[1] or tonumber(pin[2]) >= tonumber(ARGV[1]) then return false end
return {pin[1], tonumber(pin[3] or 0), redis.call('PTTL', KEYS[1]), pin[4] or ''}
"""
AGAIN = """
if redis.call('HGET', KEYS[1], 'pinId') ~= ARGV[1] then return {0} end
local known = redis.call('HGET', KEYS[1], 'verification') or ''
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'verification', known .. ' ' .. ARGV[2]) end
return {redis.call('HINCRBY', KEYS[1], 'again', 1)}
"""
GIVE_BACK = """
if redis.call('HGET', KEYS[1], 'pinId') == ARGV[1] then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
"""
CONSUME = """
if redis.call('HGET', KEYS[1], 'pinId') ~= ARGV[1] then return {0} end
return {redis.call('DEL', KEYS[1])}
"""


@contextmanager
def redis_answers() -> Iterator[None]:
    """Turn whatever Redis fails with into StoreUnavailable, at the latest after 1.5 seconds."""
    try:
        with RedisCall(), Timeout(LONGEST):
            yield
    except (RedisError, RedisClusterException, OSError, UnicodeError, Timeout) as e:
        raise StoreUnavailable(retry_after=1) from e


def replied(reply: Any, *kinds: type) -> list[Any]:
    """`reply`, if it is a list of these kinds, as our scripts answer. Who says something else did not run them.

    Raises:
        StoreUnavailable: it is not.
    """
    if isinstance(reply, list) and [type(one) for one in reply] == [*kinds]:
        return reply
    log.error("redis_refused", extra={"error": "an answer of another form"})
    raise StoreUnavailable(retry_after=1)


class PendingPin(NamedTuple):
    """A PIN that can be verified for `lifetime` more seconds, and was sent once more `again` times.

    `verifications` are its hashed verification ids.
    """

    pin_id: str
    again: int
    lifetime: float
    verifications: list[str]


class Guess(NamedTuple):
    """One guess at a PIN, the first or a later one."""

    pin_id: str
    number: int
    verifications: list[str]


class Store:
    """The PINs that can be verified, and the proofs that cannot be redeemed again.

    `to` is a phone (E.164) or an e-mail address; however it is capitalised, it is one mailbox.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def save(self, to: str, pin_id: str, verification_id: str, lifetime: float, beside: Commands = ()) -> list[str]:
        """Make `pin_id` the one PIN of `to` for `lifetime` seconds, with no guess used. `beside` goes out with it.

        Returns the hashed verification ids of the PIN that it replaced.
        """
        fields = ("pinId", pin_id, "verification", hashed(verification_id))
        reply = self._eval(SAVE, _pin_key(to), milliseconds(lifetime), *fields, beside=beside)
        replaced: str = replied(reply, int, str)[1]
        return replaced.split()

    def pending(self, to: str, max_attempts: int) -> PendingPin | None:
        """The PIN of `to` that lives and has a guess left; None without one."""
        found = self._eval(PENDING, _pin_key(to), max_attempts)
        if found is None:
            return None
        pin_id, again, left, verifications = replied(found, str, int, int, str)
        return PendingPin(pin_id, again, max(0, left) / 1000, verifications.split())

    def send_again(self, to: str, pin_id: str, verification_id: str | None = None, beside: Commands = ()) -> bool:
        """Count that the PIN is sent once more. False, with nothing counted, if it is not the one of `to` any more.

        A `verification_id` is then one of the PIN's, beside those that it has. `beside` goes out with it.
        """
        verification = "" if verification_id is None else hashed(verification_id)
        return replied(self._eval(AGAIN, _pin_key(to), pin_id, verification, beside=beside), int) != [0]

    def attempt(self, to: str, max_attempts: int, verification_id: str | None = None) -> Guess | None:
        """Count one guess.

        None, with nothing counted, without a PIN, without a guess left, or if `verification_id` is given and
        not the PIN's.
        """
        verification = "" if verification_id is None else hashed(verification_id)
        counted = self._eval(ATTEMPT, _pin_key(to), max_attempts, verification)
        if counted is None:
            return None
        pin_id, number, verifications = replied(counted, str, int, str)
        return Guess(pin_id, number, verifications.split())

    def give_back(self, to: str, pin_id: str) -> None:
        """Uncount one guess, if `pin_id` is still the PIN of `to`."""
        self._eval(GIVE_BACK, _pin_key(to), pin_id)

    def consume(self, to: str, pin_id: str) -> bool:
        """Use the PIN up. True for exactly one caller."""
        return replied(self._eval(CONSUME, _pin_key(to), pin_id), int) == [1]

    def redeem(self, proof_id: str, lifetime: float) -> bool:
        """Use a proof up. True for exactly one caller, as long as `lifetime` seconds have not passed."""
        with redis_answers():
            return bool(self._client.set(f"otp:redeemed:{proof_id}", 1, nx=True, px=milliseconds(lifetime)))

    def ping(self) -> None:
        """Return if Redis answers."""
        with redis_answers():
            self._client.ping()

    def _eval(self, script: str, key: str, *arguments: str | int, beside: Commands = ()) -> Any:
        with redis_answers():
            if not beside:
                return self._client.eval(script, 1, key, *arguments)
            pipe = self._client.pipeline(transaction=False)
            for command in (("EVAL", script, 1, key, *arguments), *beside):
                pipe.execute_command(*command)
            return pipe.execute()[0]


def _pin_key(to: str) -> str:
    return f"otp:{member_of(to)}:{to.lower()}"


def hashed(verification_id: str) -> str:
    """What of it is kept."""
    return hashlib.sha256(verification_id.encode()).hexdigest()[:32]


def milliseconds(seconds: float) -> int:
    """A lifetime as Redis takes it; at least 1."""
    return max(1, int(seconds * 1000))
