"""Which Infobip PINs belong to which recipient, and which proofs are used up, in Redis. Verbs, each one atomic step.

Three PINs of a recipient live side by side, each with an end and with guesses of its own; a fourth takes the place of
the oldest. A PIN is that of the client app which had it sent. Without a verification id, a client means the newest of
its PINs. `otp.redis.keys` has the keys, `pin_save.lua` what is kept of a PIN.

Only hashes of verification ids are kept: who reads Redis learns no id, and how long two hashes take to be compared says
nothing of one. `order` says which of two sends was the later one; it stays for some seconds after a PIN was used.

Every verb raises StoreUnavailable when Redis does not answer in time, or its reply is an error or invalid.
"""

import time
from typing import Any, Literal, NamedTuple

from limits import RateLimitItem

from otp.delivery.verifications import AFTERWARDS
from otp.errors import StoreUnavailable
from otp.ports import Claim, Guess, LockedOut, NoPin, PendingPin
from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import invalid_reply, members, milliseconds
from otp.redis.scripts import Command, Script
from otp.requester import SOMEBODY, Requester
from otp.send_request import SendRequest

SAVE = Script("pin_save")
FIND = Script("pin_find")
COUNT_RESEND = Script("pin_count_resend")
REFUND_ATTEMPT = Script("pin_refund_attempt")
REMOVE = Script("pin_remove")
CREATE_STATUS = Script("verification_create")
_FOUND = {"found": (str, str, int, int, str, str), "locked": (str,), "none": (str,)}
USED = 10.0  # seconds that a used PIN is remembered: for a save that arrives late, or is asked again


class GuessLimits(NamedTuple):
    """Guesses that a PIN has; guesses that may fail, over all PINs of a recipient, since the last one that was right;
    and for how many seconds a recipient that was verified is trusted.
    """

    attempts: int
    failures: RateLimitItem
    trusted: float


class Store:
    """The PINs that can be verified, and the proofs that cannot be redeemed again.

    Args:
        keeps_status: whether clients with a key may ask for the status of their PINs (see `otp.delivery`).
    """

    def __init__(self, redis: RedisClient, limits: GuessLimits, *, keeps_status: bool) -> None:
        self._redis = redis
        self._limits = limits
        self._keeps_status = keeps_status

    def save(self, send_request: SendRequest, pin_id: str, verification_id: str, lifetime: float) -> list[str]:
        """Keep the PIN that was sent, for `lifetime` seconds, with no guess used; and its status, if that is kept.

        Where the reply was lost it is asked again: it never takes the place of a later send, which has a higher
        order, and never revives one that was used.

        Returns the hashed verification ids of the PIN that gave way.
        """
        recipient, requester = send_request.recipient, send_request.requester
        id_hash = keys.verification_hash(verification_id)
        fields = ["pinId", pin_id, "verification", id_hash]
        if requester.end_user:
            fields += ["requester", requester.end_user]
        if recipient.identity != recipient.canonical:
            fields += ["to", recipient.identity]
        save = SAVE(
            [keys.pins(recipient)], milliseconds(lifetime), send_request.reserved.order, requester.client, *fields
        )
        status = self._new_status(send_request, id_hash, lifetime)
        saved, gone = members(self._redis.run_idempotent(save, *status)[0], int, str)
        if not saved:  # so late that newer ones have all places
            raise StoreUnavailable(retry_after=1)
        return str(gone).split()

    def pending(self, recipient: Recipient, claim: Claim) -> PendingPin | NoPin:
        """The PIN that is meant, if it lives and has a guess left."""
        kind, *found = self._find("resend", recipient, claim)
        if kind != "found":
            return NoPin()
        pin_id, resends, left, id_hashes, _ = found
        return PendingPin(pin_id, resends, max(0, left) / 1000, id_hashes.split())

    def attempt(self, recipient: Recipient, claim: Claim) -> Guess | LockedOut | NoPin:
        """Count one guess at the PIN that is meant, if it lives, has a guess left, and the recipient has one, too.

        The first guess at a PIN is let through by its id however many failed before, and without one if the recipient
        is trusted: strangers can fail at PINs of their own.
        """
        kind, *found = self._find("guess", recipient, claim)
        if kind != "found":
            return LockedOut() if kind == "locked" else NoPin()
        pin_id, number, _, id_hashes, sent_to = found
        return Guess(pin_id, number >= self._limits.attempts, id_hashes.split(), sent_to or recipient.canonical)

    def _find(self, purpose: Literal["guess", "resend"], recipient: Recipient, claim: Claim) -> list[Any]:
        of = keys.pins(recipient), keys.failures(recipient), keys.trusted(recipient)
        verification = "" if claim.verification_id is None else keys.verification_hash(claim.verification_id)
        whose = claim.client, verification, claim.requester
        failures = self._limits.failures.amount, self._limits.failures.get_expiry()
        about = recipient.identity.lower(), recipient.canonical
        (reply,) = self._redis.run(FIND(of, purpose, *whose, self._limits.attempts, *failures, *about))
        kind = reply[0] if isinstance(reply, list) and reply and isinstance(reply[0], str) else ""
        if kind not in _FOUND:
            raise invalid_reply()
        return members(reply, *_FOUND[kind])

    def count_resend(self, send_request: SendRequest, pin: PendingPin, verification_id: str | None = None) -> bool:
        """Count that the PIN is sent once more. False, with nothing counted, if it is not the recipient's any more.

        A `verification_id` is then one more id of the PIN, with a status of its own.
        """
        id_hash = "" if verification_id is None else keys.verification_hash(verification_id)
        status = self._new_status(send_request, id_hash, pin.lifetime) if id_hash else []
        count = COUNT_RESEND([keys.pins(send_request.recipient)], pin.pin_id, id_hash)
        return members(self._redis.run(count, *status)[0], int) != [0]

    def _new_status(self, send_request: SendRequest, id_hash: str, lifetime: float) -> list[Command]:
        """The command that creates the status record of a PIN; none where no client may ask for it."""
        client = send_request.requester.client
        if not (self._keeps_status and client):
            return []
        times = ("sentAt", int(send_request.at), "expiresAt", int(time.time() + lifetime))
        fields = ("client", client, "channel", send_request.channel.name, *times)
        return [CREATE_STATUS([keys.verification(id_hash)], milliseconds(lifetime + AFTERWARDS), *fields)]

    def refund_attempt(self, recipient: Recipient, pin_id: str, *, was_not_checked: bool) -> None:
        """Uncount one failure; and the guess at `pin_id`, if it certainly was not checked."""
        of = keys.pins(recipient), keys.failures(recipient)
        self._redis.run(REFUND_ATTEMPT(of, pin_id, int(was_not_checked)))

    def consume(self, recipient: Recipient, pin_id: str, requester: Requester) -> bool:
        """Use the PIN up. True for exactly one caller.

        The recipient's failures are forgotten with it, and it is trusted from now on.
        """
        return self._remove(recipient, pin_id, requester.end_user or SOMEBODY)

    def drop(self, recipient: Recipient, pin_id: str) -> None:
        """Forget a PIN that Infobip does not know any more; no other one."""
        self._remove(recipient, pin_id)

    def _remove(self, recipient: Recipient, pin_id: str, verified_by: str = "") -> bool:
        of = keys.pins(recipient), keys.failures(recipient), keys.trusted(recipient)
        how_long = milliseconds(USED), verified_by, milliseconds(self._limits.trusted)
        return members(self._redis.run(REMOVE(of, pin_id, *how_long))[0], int) == [1]

    def redeem(self, proof_id: str, lifetime: float) -> bool:
        """Use a proof up. True for exactly one caller, as long as `lifetime` seconds have not passed."""
        taken = ("SET", keys.redeemed(proof_id), 1, "NX", "PX", milliseconds(lifetime))
        return self._redis.run(taken) == ["OK"]

    def ping(self) -> None:
        """Return if Redis takes writes."""
        self._redis.run(("SET", keys.READY, 1, "EX", 60))
