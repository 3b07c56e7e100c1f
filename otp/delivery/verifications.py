"""What became of PINs, for the clients that had them sent.

The hash of a verification has client, channel, sentAt and expiresAt; and deliveredAt, verifiedAt and endedAt once that
has happened. Times are in Unix seconds. It does not say to whom the PIN went.
"""

import time
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from otp.errors import StoreUnavailable
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import milliseconds
from otp.redis.scripts import Command, Script
from otp.send_request import SendRequest

AFTERWARDS = 3600.0  # seconds that what became of a PIN is known for, after its life

_BEGIN = Script("verification_begin")
_MARK = Script("verification_mark")

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

    def __init__(self, redis: RedisClient, keyed: bool) -> None:
        self._redis = redis
        self.keyed = keyed

    def begin(self, send_request: SendRequest, verification_id: str, lifetime: float) -> list[Command]:
        """The commands that note a PIN that lives `lifetime` more seconds; none where nobody may ask for it."""
        if not (self.keyed and send_request.requester.client):
            return []
        whose = ("client", send_request.requester.client, "channel", send_request.channel.name)
        times = ("sentAt", int(send_request.at), "expiresAt", int(time.time() + lifetime))
        key = keys.verification(keys.id_hash(verification_id))
        return [_BEGIN([key], milliseconds(lifetime + AFTERWARDS), *whose, *times)]

    def mark(self, hashes: Iterable[str], what: Moment, at: float) -> list[Command]:
        """The commands that note that it happened `at`."""
        return [_MARK([keys.verification(each)], what, int(at)) for each in hashes] if self.keyed else []

    def note(self, hashes: Iterable[str], what: Moment) -> None:
        """Note that it happened now."""
        if commands := self.mark(hashes, what, time.time()):
            self._redis.run(*commands)

    def find(self, verification_id: str, client: str) -> Verification | None:
        """What is known of a PIN that `client` had sent; None for one of another, and for none at all."""
        (values,) = self._redis.run(("HMGET", keys.verification(keys.id_hash(verification_id)), *FIELDS))
        known = {name: value for name, value in zip(FIELDS, values, strict=True) if value is not None}
        if known.get("client") != client:
            return None
        try:
            return Verification.model_validate(known)
        except ValidationError as e:  # somebody else has written there
            raise StoreUnavailable(retry_after=1) from e
