"""Hears what happens to PINs and messages, and notes it down behind the answers."""

import logging
from collections.abc import Callable, Sequence

from otp.delivery.sent_messages import DELIVERED, Report, Reported, SentMessages
from otp.delivery.verifications import Moment, Verifications
from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.background import Background
from otp.redis.client import RedisClient
from otp.redis.scripts import Command
from otp.send_limits.recipient_limit import end_cooldown
from otp.send_request import SendRequest
from otp.telemetry import metrics, record

log = logging.getLogger("otp.delivery")


class Tracker:
    """One for a worker.

    Args:
        on_verified: hears of each recipient whose PIN was accepted; must not block.
    """

    def __init__(
        self,
        redis: RedisClient,
        messages: SentMessages,
        verifications: Verifications,
        on_verified: Callable[[Recipient], None],
    ) -> None:
        self._redis = redis
        self._messages = messages
        self._verifications = verifications
        self._on_verified = on_verified
        self._background = Background()

    def begin(self, send_request: SendRequest, verification_id: str, lifetime: float) -> list[Command]:
        """The commands that note a PIN, for the round trip that saves it."""
        return self._verifications.begin(send_request, verification_id, lifetime)

    def sent(
        self, send_request: SendRequest, message_id: str | None, verification_id: str | None, others: Sequence[str] = ()
    ) -> None:
        """A message is on its way; its id is None where no report of it will come.

        It has the PIN of `verification_id`, and of `others`, which are hashed already.
        """
        if message_id:
            own = [keys.id_hash(verification_id)] if verification_id else []
            of = [*own, *others] if self._verifications.keyed else []
            self._background.run(self._messages.remember, message_id, send_request, of, record.current().request_id)

    def verified(self, recipient: Recipient, verifications: list[str]) -> None:
        """The PIN of these was accepted."""
        self._on_verified(recipient)
        self._note(verifications, "verifiedAt")

    def ended(self, verifications: list[str]) -> None:
        """The PIN of these was replaced, or has no guess left."""
        self._note(verifications, "endedAt")

    def reported(self, report: Report) -> None:
        """Infobip says what became of a message. However often it does, it counts once, and the first time decides.

        Raises:
            StoreUnavailable: not all of it was noted. To hear it again does no harm.
        """
        message = self._messages.decide(report)
        if message is None:
            return
        if message.is_first:
            _tell(message, report)
        commands: list[Command] = []
        if message.outcome == DELIVERED:
            commands = self._verifications.mark(message.verifications, "deliveredAt", report.at)
        elif report.to:  # at once by another way: what did not arrive is no reason to wait
            commands = [end_cooldown(Recipient.at(f"+{report.to}"), message.reservation)]
        if commands:
            self._redis.run(*commands)

    def _note(self, verifications: list[str], what: Moment) -> None:
        if verifications and self._verifications.keyed:
            self._background.run(self._verifications.note, verifications, what)


def _tell(message: Reported, report: Report) -> None:
    metrics.DELIVERIES.labels(message.channel, message.country, message.outcome.lower()).inc()
    about = {"delivery_id": report.message_id, "channel": message.channel, "country": message.country}
    if message.outcome == DELIVERED:
        log.debug("delivered", extra={**about, "sent_by": message.request})
    else:
        why = {"status": message.outcome, "error": report.error or None}
        log.warning("not_delivered", extra={**about, **why, "sent_by": message.request})
