"""What became of PINs, for the clients that had them sent.

    otp:verification:<hash of the verification id>   hash of client, channel, sentAt, expiresAt; and of deliveredAt,
                                                     verifiedAt, endedAt, once that has happened

Lives an hour longer than the PIN. Nothing in it says to whom the PIN went. Times are in Unix seconds.
"""

import time
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from connection import Client
from errors import StoreUnavailable
from spending.admission import script
from spending.sending import Sending
from store import Commands, hashed, milliseconds, redis_answers

AFTERWARDS = 3600.0  # seconds that what became of a PIN is known for, after its life

_BEGIN = (
    "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], unpack(ARGV, 2)) redis.call('PEXPIRE', KEYS[1], ARGV[1])"
)
# What happens twice happened first when it did first.
_MARK = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) end"

Moment = Literal["deliveredAt", "verifiedAt", "endedAt"]


class Verification(BaseModel, alias_generator=to_camel, frozen=True):
    """One PIN, from its send on."""

    client: str
    channel: str
    sent_at: int
    expires_at: int
    delivered_at: int | None = None
    verified_at: int | None = None
    ended_at: int | None = None

    def status(self, now: float) -> Literal["pending", "delivered", "verified", "expired"]:
        """What it is at `now`. Who was replaced, or is out of guesses, has expired."""
        if self.verified_at is not None:
            return "verified"
        if self.ended_at is not None or now >= self.expires_at:
            return "expired"
        return "pending" if self.delivered_at is None else "delivered"


FIELDS = [str(field.alias) for field in Verification.model_fields.values()]


class Verifications:
    """Remembers them. Those of clients without a key are nobody's to ask for, and are not kept.

    Args:
        keyed: whether there are clients with a key.
    """

    def __init__(self, client: Client, keyed: bool) -> None:
        self._client = client
        self.keyed = keyed

    def begin(self, sending: Sending, verification_id: str, lifetime: float) -> Commands:
        """The commands that note a PIN that lives `lifetime` more seconds; none where nobody may ask for it."""
        if not (self.keyed and sending.client):
            return ()
        sent, ends = int(sending.at), int(time.time() + lifetime)
        fields = ("client", sending.client, "channel", sending.channel.name, "sentAt", sent, "expiresAt", ends)
        key = _key(hashed(verification_id))
        return [("EVAL", _BEGIN, 1, key, milliseconds(lifetime + AFTERWARDS), *fields)]

    def mark(self, pipe: Any, hashes: Iterable[str], what: Moment, at: float) -> None:
        """Put into `pipe` what notes that it happened `at`."""
        for each in hashes if self.keyed else ():
            script(pipe, _MARK, (_key(each),), what, int(at))

    def note(self, hashes: Iterable[str], what: Moment) -> None:
        """Note that it happened now."""
        pipe = self._client.pipeline(transaction=False)
        self.mark(pipe, hashes, what, time.time())
        if len(pipe):
            with redis_answers():
                pipe.execute()

    def find(self, verification_id: str, client: str) -> Verification | None:
        """What is known of a PIN that `client` had sent; None for one of another, and for none at all."""
        with redis_answers():
            values: Any = self._client.hmget(_key(hashed(verification_id)), FIELDS)
        known = {name: value for name, value in zip(FIELDS, values, strict=True) if value is not None}
        if known.get("client") != client:
            return None
        try:
            return Verification.model_validate(known)
        except ValidationError as e:  # somebody else has written there
            raise StoreUnavailable(retry_after=1) from e


def _key(hashed_id: str) -> str:
    return f"otp:verification:{hashed_id}"
