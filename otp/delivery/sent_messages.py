"""Messages whose delivery Infobip reports.

The hash of a message has reservation (the value of the cooldown that its send took), channel, country, verifications
and request (the id of the request that asked for it); and outcome once it was reported. It does not say to whom the
message went: its report does.
"""

from typing import NamedTuple

from otp.delivery.verifications import AFTERWARDS
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members, milliseconds
from otp.redis.scripts import Script
from otp.send_request import SendRequest
from otp.telemetry.masking import country

DELIVERED = "DELIVERED"
FINAL = {DELIVERED, "UNDELIVERABLE", "EXPIRED", "REJECTED"}  # of Infobip's status groups; PENDING is the other one

_ADD = Script("message_add")
_FIRST_REPORT = Script("message_first_report")


class Report(NamedTuple):
    """What Infobip says of a message: one of FINAL, and when that was so (Unix seconds).

    `to` is the number in digits, `error` Infobip's word for what went wrong; each "" where it gives none.
    """

    message_id: str
    outcome: str
    at: float
    to: str = ""
    error: str = ""


class Reported(NamedTuple):
    """A message of ours, and what the first report of it said; `is_first` where that is the one just read."""

    is_first: bool
    outcome: str
    reservation: str
    channel: str
    country: str
    verifications: list[str]
    request: str


class SentMessages:
    """Remembers them.

    Args:
        pin_lifetime: seconds.
    """

    def __init__(self, redis: RedisClient, pin_lifetime: float) -> None:
        self._redis = redis
        self._lifetime = milliseconds(pin_lifetime + AFTERWARDS)

    def remember(self, message_id: str, send_request: SendRequest, verifications: list[str], request: str) -> None:
        """The message `message_id` carries the PIN of these hashed verification ids."""
        about = ("channel", send_request.channel.name, "country", country(send_request.region), "verifications")
        fields = ("reservation", send_request.reservation, *about, " ".join(verifications), "request", request)
        self._redis.run(_ADD([keys.message(message_id)], self._lifetime, *fields))

    def decide(self, report: Report) -> Reported | None:
        """What the first report of this message said; None for a message that is not ours, or too old."""
        (reply,) = self._redis.run(_FIRST_REPORT([keys.message(report.message_id)], report.outcome))
        if reply is None:
            return None
        first, outcome, reservation, channel, of, verifications, request = members(reply, int, *[str] * 6)
        return Reported(bool(first), outcome, reservation, channel, of, verifications.split(), request)
