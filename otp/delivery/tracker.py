"""Keeps the status of PINs and of their messages up to date, after the response where a request causes the change."""

import logging
import time
from collections.abc import Callable, Sequence

from otp import request_record
from otp.delivery.charges import Charges
from otp.delivery.sent_messages import ReportedMessage, SentMessages
from otp.delivery.verifications import Moment, Verifications
from otp.infobip.delivery_reports import DELIVERED, DeliveryReport
from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.background import Background
from otp.send_request import SendRequest
from otp.telemetry import metrics

log = logging.getLogger("otp.delivery")


class Tracker:
    """One per worker.

    Args:
        verifications: None where clients have no keys, and so may not ask for the status of a PIN.
        on_verified: called with each recipient whose PIN was accepted; must not block.
        end_cooldown: ends the recipient's cooldown if it is still that of this reservation.
        charges: gets what each message cost, once.
    """

    def __init__(
        self,
        messages: SentMessages,
        verifications: Verifications | None,
        on_verified: Callable[[Recipient], None],
        end_cooldown: Callable[[Recipient, str], None],
        charges: Charges,
    ) -> None:
        self._messages = messages
        self._verifications = verifications
        self._on_verified = on_verified
        self._end_cooldown = end_cooldown
        self._charges = charges
        self._background = Background()

    def message_sent(
        self,
        send_request: SendRequest,
        message_id: str | None,
        verification_id: str | None,
        id_hashes: Sequence[str] = (),
    ) -> None:
        """Remember a message that Infobip took, for its delivery report; `message_id` is None if none will come.

        It carries the PIN of `verification_id` and of the ids with these hashes.
        """
        if message_id:
            new = [keys.verification_hash(verification_id)] if verification_id else []
            hashes = [*new, *id_hashes] if self._verifications else []
            self._background.run(
                self._messages.add, message_id, send_request, hashes, request_record.current().request_id
            )

    def pin_verified(self, recipient: Recipient, id_hashes: Sequence[str]) -> None:
        """Note that the PIN with these hashed verification ids was accepted."""
        self._on_verified(recipient)
        self._mark(id_hashes, "verifiedAt")

    def pin_ended(self, id_hashes: Sequence[str]) -> None:
        """Note that the PIN with these hashed verification ids was replaced, or has no guess left."""
        self._mark(id_hashes, "endedAt")

    def apply_report(self, report: DeliveryReport) -> None:
        """Count a report; mark the PIN as delivered, or end the cooldown. A message counts once, by its first report.

        Raises:
            StoreUnavailable: not all of it was noted. The report may come again; that does no harm.
        """
        message = self._messages.first_report(report)
        if message is None:
            return
        if message.is_first:
            _count(message, report)
            self._charges.add(report.charge, message)
        if message.outcome == DELIVERED:
            if self._verifications:
                self._verifications.mark(message.id_hashes, "deliveredAt", report.at)
        elif report.to:  # the message did not arrive: another channel may be tried at once
            self._end_cooldown(Recipient.at(f"+{report.to}"), message.reservation)

    def _mark(self, id_hashes: Sequence[str], moment: Moment) -> None:
        if id_hashes and self._verifications:
            self._background.run(self._verifications.mark, id_hashes, moment, time.time())


def _count(message: ReportedMessage, report: DeliveryReport) -> None:
    metrics.DELIVERIES.labels(message.channel, message.country, message.outcome.lower()).inc()
    about = {"delivery_id": report.message_id, "channel": message.channel, "country": message.country}
    if message.outcome == DELIVERED:
        log.debug("delivered", extra={**about, "sent_by": message.request})
    else:
        why = {"status": message.outcome, "error": report.error or None}
        log.warning("not_delivered", extra={**about, **why, "sent_by": message.request})
