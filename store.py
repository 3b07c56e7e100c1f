"""The PINs of each recipient, and the proofs that are used up, in Redis. Each method is one atomic step.

A recipient has three PINs at most, each with an end and with guesses of its own; a fourth replaces the oldest. A PIN
belongs to the client app which had it sent. A client that gives no verification id means its newest PIN.
`otp.redis.keys` has the keys, `pin_fields.lua` the fields of a PIN.

Only hashes of verification ids are kept: readers of Redis do not learn the ids, nor does the time of a comparison
reveal one. `order` says which of two sends was later; it stays for some seconds after a PIN was used.

Every method raises StoreUnavailable when Redis does not answer in time, or when its reply is an error or invalid.
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
CONSUME = Script("pin_consume")
DROP = Script("pin_drop")
CREATE_STATUS = Script("verification_create")
_FOUND = {"found": (str, str, int, int, str, str, str), "locked": (str,), "none": (str,)}
USED = 10.0  # seconds that a used PIN is remembered, for a save that arrives late or is repeated


class GuessLimits(NamedTuple):
    """`attempts`: guesses at one PIN. `failures`: how many guesses at a recipient's PINs may fail in a period, without
    a right one between them. `trusted`: seconds for which a verified recipient is trusted.
    """

    attempts: int
    failures: RateLimitItem
    trusted: float


class Store:
    """The PINs that can be verified, and the proofs that cannot be redeemed again."""

    def __init__(self, redis: RedisClient, limits: GuessLimits) -> None:
        self._redis = redis
        self._limits = limits

    def save(self, send_request: SendRequest, pin_id: str, verification_id: str, lifetime: float) -> list[str]:
        """Keep a PIN that was sent, for `lifetime` seconds, with no guess used; and create its status record.

        Where the reply is lost, the command is repeated. That does no harm: it replaces no PIN of a later send, which
        has a higher order, and revives no used one.

        Returns the hashes of the verification ids of the PIN that was replaced; empty if there was room.
        """
        recipient, requester = send_request.recipient, send_request.requester
        id_hash = keys.verification_hash(verification_id)
        fields = ["pinId", pin_id, "verification", id_hash]
        if requester.end_user:
            fields += ["requester", requester.end_user]
        if recipient.identity != recipient.canonical:
            fields += ["to", recipient.identity]
        if send_request.purpose:
            fields += ["purpose", send_request.purpose]
        if send_request.nonce:
            fields += ["nonce", send_request.nonce]
        save = SAVE(
            [keys.pins(recipient)], milliseconds(lifetime), send_request.reserved.order, requester.client, *fields
        )
        status = self._new_status(send_request, id_hash, lifetime)
        saved, replaced = members(self._redis.run_idempotent(save, *status)[0], int, str)
        if not saved:  # it came so late that newer PINs have all places
            raise StoreUnavailable(retry_after=1)
        return str(replaced).split()

    def pending(self, recipient: Recipient, claim: Claim) -> PendingPin | NoPin:
        """Find the PIN that is meant, if it lives and has a guess left."""
        kind, *found = self._find("resend", recipient, claim)
        if kind != "found":
            return NoPin()
        pin_id, resends, left, id_hashes, _, nonce = found
        return PendingPin(pin_id, resends, max(0, left) / 1000, id_hashes.split(), nonce)

    def attempt(self, recipient: Recipient, claim: Claim) -> Guess | LockedOut | NoPin:
        """Count a guess at the PIN that is meant, if it lives, and the PIN and the recipient have a guess left.

        A recipient without a guess left still has the first guess at each PIN, if the claim has its verification id or
        if the recipient is trusted: strangers could otherwise lock it out, by wrong guesses at PINs of their own.
        """
        kind, *found = self._find("guess", recipient, claim)
        if kind != "found":
            return LockedOut() if kind == "locked" else NoPin()
        pin_id, number, _, id_hashes, sent_to, nonce = found
        return Guess(pin_id, number >= self._limits.attempts, id_hashes.split(), sent_to or recipient.canonical, nonce)

    def _find(self, step: Literal["guess", "resend"], recipient: Recipient, claim: Claim) -> list[Any]:
        of = keys.pins(recipient), keys.failures(recipient), keys.trusted(recipient)
        verification = "" if claim.verification_id is None else keys.verification_hash(claim.verification_id)
        whose = claim.client, verification, claim.requester
        failures = self._limits.failures.amount, self._limits.failures.get_expiry()
        about = recipient.identity.lower(), recipient.canonical, "*" if claim.purpose is None else claim.purpose
        (reply,) = self._redis.run(FIND(of, step, *whose, self._limits.attempts, *failures, *about))
        kind = reply[0] if isinstance(reply, list) and reply and isinstance(reply[0], str) else ""
        if kind not in _FOUND:
            raise invalid_reply()
        return members(reply, *_FOUND[kind])

    def count_resend(self, send_request: SendRequest, pin: PendingPin, verification_id: str | None = None) -> bool:
        """Count that the PIN is sent once more. False, with nothing counted, if the recipient has it no more.

        A `verification_id` becomes one more id of the PIN, with a status record of its own.
        """
        id_hash = "" if verification_id is None else keys.verification_hash(verification_id)
        status = self._new_status(send_request, id_hash, pin.lifetime) if id_hash else []
        count = COUNT_RESEND([keys.pins(send_request.recipient)], pin.pin_id, id_hash)
        return members(self._redis.run(count, *status)[0], int) != [0]

    def _new_status(self, send_request: SendRequest, id_hash: str, lifetime: float) -> list[Command]:
        """The command that creates the status record of a PIN; empty where no client app with a key may ask for it."""
        client = send_request.requester.client
        if not client:
            return []
        times = ("sentAt", int(send_request.at), "expiresAt", int(time.time() + lifetime))
        fields = ("client", client, "channel", send_request.channel.name, *times)
        return [CREATE_STATUS([keys.verification(id_hash)], milliseconds(lifetime + AFTERWARDS), *fields)]

    def refund_attempt(self, recipient: Recipient, pin_id: str, *, was_not_checked: bool) -> None:
        """Uncount one failure of the recipient; and the guess at `pin_id`, if it certainly was not checked."""
        of = keys.pins(recipient), keys.failures(recipient)
        self._redis.run(REFUND_ATTEMPT(of, pin_id, int(was_not_checked)))

    def consume(self, recipient: Recipient, pin_id: str, requester: Requester) -> bool:
        """Use the PIN up; True for exactly one caller. The recipient is trusted from then on, with no failures."""
        of = keys.pins(recipient), keys.failures(recipient), keys.trusted(recipient)
        trusted = requester.end_user or SOMEBODY, milliseconds(self._limits.trusted)
        return members(self._redis.run(CONSUME(of, pin_id, milliseconds(USED), *trusted))[0], int) == [1]

    def drop(self, recipient: Recipient, pin_id: str) -> bool:
        """Stop finding a PIN that Infobip does not know any more; False if it was not found before either.

        It can still be consumed: Infobip does not know a PIN any more that another request has just verified.
        """
        return members(self._redis.run(DROP([keys.pins(recipient)], pin_id))[0], int) == [1]

    def redeem(self, proof_id: str, lifetime: float) -> bool:
        """Use a proof up; True for exactly one caller within `lifetime` seconds."""
        taken = ("SET", keys.redeemed_proof(proof_id), 1, "NX", "PX", milliseconds(lifetime))
        return self._redis.run(taken) == ["OK"]

    def ping(self) -> None:
        """Return if Redis takes writes; otherwise raise StoreUnavailable."""
        self._redis.run(("SET", keys.READY, 1, "EX", 60))
