"""Messages whose delivery Infobip reports.

The hash of a message has reservation (the value of the cooldown that its send took), channel, country, verifications
and request (the id of the request that asked for it); and outcome once it was reported. It does not say to whom the
message went: its report does.
"""

from typing import NamedTuple

from otp.delivery.verifications import AFTERWARDS
from otp.infobip.delivery_reports import DeliveryReport
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members, milliseconds
from otp.redis.scripts import Script
from otp.send_request import SendRequest

_ADD = Script("message_add")
_FIRST_REPORT = Script("message_first_report")


class ReportedMessage(NamedTuple):
    """A message that this service had sent. `outcome` is that of its first report, `is_first` whether this was it."""

    is_first: bool
    outcome: str
    reservation: str
    channel: str
    country: str
    id_hashes: list[str]
    request: str


class SentMessages:
    """Keeps messages until their reports come.

    Args:
        pin_lifetime: seconds.
    """

    def __init__(self, redis: RedisClient, pin_lifetime: float) -> None:
        self._redis = redis
        self._lifetime = milliseconds(pin_lifetime + AFTERWARDS)

    def add(self, message_id: str, send_request: SendRequest, id_hashes: list[str], request: str) -> None:
        """Keep the message `message_id`, which carries the PIN of these hashed verification ids."""
        about = ("channel", send_request.channel.name, "country", send_request.recipient.country, "verifications")
        fields = ("reservation", send_request.reservation, *about, " ".join(id_hashes), "request", request)
        self._redis.run(_ADD([keys.message(message_id)], self._lifetime, *fields))

    def first_report(self, report: DeliveryReport) -> ReportedMessage | None:
        """The message and its first report, which may be this one; None if the message is unknown, or too old."""
        (reply,) = self._redis.run(_FIRST_REPORT([keys.message(report.message_id)], report.outcome))
        if reply is None:
            return None
        first, outcome, reservation, channel, region, hashes, request = members(reply, int, *[str] * 6)
        return ReportedMessage(bool(first), outcome, reservation, channel, region, hashes.split(), request)
