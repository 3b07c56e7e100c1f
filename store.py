"""Which Infobip PIN belongs to which phone, and which proofs are used up, in Redis. Verbs, each one atomic step.

    otp:phoneNumber:+14155552671   hash of pinId, attempts, verification, order, again   lives as long as the PIN
    otp:email:jo@example.com       the same of an e-mail address
    otp:redeemed:<id of a proof>   that it was redeemed                                  lives longer than the proof

`verification` has hashes of the verification ids: who reads Redis learns no id, and how long two hashes take to be
compared says nothing of one. `again` is how often the same PIN was sent once more. `order` says which of two sends was
the later one; it stays for some seconds after a PIN was used.

Every verb raises StoreUnavailable when Redis does not answer in time, or answers with an error or with nonsense.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members, milliseconds
from otp.redis.scripts import Command, Script

SAVE = Script("pin_save")
PENDING = Script("pin_pending")
COUNT_RESEND = Script("pin_count_resend")
ATTEMPT = Script("pin_attempt")
REFUND_ATTEMPT = Script("pin_refund_attempt")
CONSUME = Script("pin_consume")
USED = 10.0  # seconds that a used PIN is remembered: for a save that arrives late, or is asked again


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
    """The PINs that can be verified, and the proofs that cannot be redeemed again."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def save(
        self,
        recipient: Recipient,
        pin_id: str,
        verification_id: str,
        lifetime: float,
        order: int,
        beside: Sequence[Command] = (),
    ) -> list[str]:
        """Make `pin_id` the one PIN of `recipient` for `lifetime` seconds, with no guess used.

        `beside` goes out with it.

        Where the reply was lost it is asked again: it never replaces the PIN of a later send, which has a higher
        `order`, and never revives one that was used.

        Returns the hashed verification ids of the PIN that it replaced.
        """
        fields = ("pinId", pin_id, "verification", hashed(verification_id))
        save = SAVE([keys.pins(recipient)], milliseconds(lifetime), order, *fields)
        replaced: str = members(self._redis.run_surely(save, *beside)[0], int, str)[1]
        return replaced.split()

    def pending(self, recipient: Recipient, max_attempts: int) -> PendingPin | None:
        """The PIN of `recipient` that lives and has a guess left; None without one."""
        found = self._run(PENDING, recipient, max_attempts)
        if found is None:
            return None
        pin_id, again, left, verifications = members(found, str, int, int, str)
        return PendingPin(pin_id, again, max(0, left) / 1000, verifications.split())

    def count_resend(
        self, recipient: Recipient, pin_id: str, verification_id: str | None = None, beside: Sequence[Command] = ()
    ) -> bool:
        """Count that the PIN is sent once more. False, with nothing counted, if it is not the recipient's any more.

        A `verification_id` is then one of the PIN's, beside those that it has. `beside` goes out with it.
        """
        verification = "" if verification_id is None else hashed(verification_id)
        counted = COUNT_RESEND([keys.pins(recipient)], pin_id, verification)
        return members(self._redis.run(counted, *beside)[0], int) != [0]

    def attempt(self, recipient: Recipient, max_attempts: int, verification_id: str | None = None) -> Guess | None:
        """Count one guess.

        None, with nothing counted, without a PIN, without a guess left, or if `verification_id` is given and
        not the PIN's.
        """
        verification = "" if verification_id is None else hashed(verification_id)
        counted = self._run(ATTEMPT, recipient, max_attempts, verification)
        if counted is None:
            return None
        pin_id, number, verifications = members(counted, str, int, str)
        return Guess(pin_id, number, verifications.split())

    def refund_attempt(self, recipient: Recipient, pin_id: str) -> None:
        """Uncount one guess, if `pin_id` is still the PIN of `recipient`."""
        self._run(REFUND_ATTEMPT, recipient, pin_id)

    def consume(self, recipient: Recipient, pin_id: str) -> bool:
        """Use the PIN up. True for exactly one caller."""
        return members(self._run(CONSUME, recipient, pin_id, milliseconds(USED)), int) == [1]

    def redeem(self, proof_id: str, lifetime: float) -> bool:
        """Use a proof up. True for exactly one caller, as long as `lifetime` seconds have not passed."""
        taken = ("SET", f"otp:redeemed:{proof_id}", 1, "NX", "PX", milliseconds(lifetime))
        return self._redis.run(taken) == ["OK"]

    def ping(self) -> None:
        """Return if Redis takes writes."""
        self._redis.run(("SET", "otp:ready", 1, "EX", 60))

    def _run(self, script: Script, recipient: Recipient, *arguments: str | int) -> Any:
        return self._redis.run(script([keys.pins(recipient)], *arguments))[0]


def hashed(verification_id: str) -> str:
    """What of it is kept."""
    return hashlib.sha256(verification_id.encode()).hexdigest()[:32]
