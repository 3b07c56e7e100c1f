"""The status of PINs, for the clients that had them sent.

A record is a hash of client, channel, sentAt and expiresAt; and of deliveredAt, verifiedAt and endedAt once that has
happened. Times are in Unix seconds. It does not say to whom the PIN went. `Store.save` creates it.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from otp.errors import StoreUnavailable
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.scripts import Script

AFTERWARDS = 3600.0  # seconds that the status of a PIN is kept after its life

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
        """The status at `now`. A PIN that was replaced, or is out of guesses, has expired."""
        if self.verified_at is not None:
            return "verified"
        if self.ended_at is not None or now >= self.expires_at:
            return "expired"
        return "pending" if self.delivered_at is None else "delivered"


FIELDS = [str(field.alias) for field in Verification.model_fields.values()]


class Verifications:
    """Updates the status records of PINs, and finds them."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def mark(self, id_hashes: Iterable[str], moment: Moment, at: float) -> None:
        """Note the first time that this happened to the PIN of these ids; ids without a record are skipped.

        Raises:
            StoreUnavailable: not all of it was noted.
        """
        if commands := [_MARK([keys.verification(id_hash)], moment, int(at)) for id_hash in id_hashes]:
            self._redis.run(*commands)

    def find(self, verification_id: str, client: str) -> Verification | None:
        """The PIN with this id that `client` had sent; None if there is none, or another client had it sent."""
        (values,) = self._redis.run(("HMGET", keys.verification(keys.verification_hash(verification_id)), *FIELDS))
        fields = {name: value for name, value in zip(FIELDS, values, strict=True) if value is not None}
        if fields.get("client") != client:
            return None
        try:
            return Verification.model_validate(fields)
        except ValidationError as e:  # another program has written there
            raise StoreUnavailable(retry_after=1) from e
