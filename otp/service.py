"""The rules of sending and verifying. No Flask, no Redis and no requests in here."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from errors import InvalidOtp, OtpError, PinNotSaved, StoreUnavailable

if TYPE_CHECKING:
    from types import TracebackType

    from infobip.usual_time import UsualTime
    from infobip_client import InfobipClient, SentPin
    from otp.recipients import Recipient
    from spending.admission import Admission
    from spending.sending import Sending
    from store import PendingPin, Store
    from tracking.tracker import Tracker


@dataclass(frozen=True)
class Rules:
    """`pin_lifetime` in seconds; `max_attempts` guesses a PIN.

    `waits` are the seconds until the next message, after the first one with a PIN, the second, and so on; the last
    holds for all that follow. `send_again`: whether a second send has the PIN that lives sent again, or a new one.
    """

    pin_lifetime: float
    waits: tuple[float, ...]
    max_attempts: int
    send_again: Literal["new", "same"] = "new"

    def wait(self, again: int) -> float:
        """The seconds until the next message, after a PIN was sent once more `again` times."""
        return self.waits[min(again, len(self.waits) - 1)]


class Sent(NamedTuple):
    """A PIN is on its way: how long it lives and when it can be sent again, in seconds.

    `verification_id` is 128 random bits that only who asked for the PIN knows; None where nobody learns a new one.
    """

    expires_in: float
    resend_in: float
    verification_id: str | None = None


class OtpService:
    """Sends a PIN to a phone or an e-mail address, and checks what the person typed.

    Args:
        usual_time: how long a verify takes where Infobip judges it.
        tracker: hears what becomes of every PIN.
    """

    def __init__(
        self,
        admission: Admission,
        store: Store,
        infobip: InfobipClient,
        rules: Rules,
        usual_time: UsualTime,
        tracker: Tracker,
    ) -> None:
        self._admission = admission
        self._store = store
        self._infobip = infobip
        self._rules = rules
        self._usual_time = usual_time
        self._tracker = tracker

    def send(self, sending: Sending) -> Sent:
        """Have Infobip send a new PIN; an older one stops working. Or, by the rules, have the older one sent again.

        The recipient's cooldown is taken first, and kept unless it is certain that nothing went out: so one
        accepted request sends at most one message, however many race.

        Raises:
            TooManyRequests: the cooldown, a limit, or Infobip's throttle.
            BudgetExhausted: it would cost more than what is left.
            ProviderRefused, ProviderUnclear, ProviderTimeout, ServiceUnavailable: see `errors`.
        """
        if self._rules.send_again == "same" and (
            pin := self._store.pending(sending.recipient, self._rules.max_attempts)
        ):
            return self._send_again(sending, pin, secrets.token_urlsafe(16))
        with _Admitted(self._admission, sending):
            started = time.monotonic()
            sent = self._infobip.send_pin(sending)
        # Infobip's clock runs since it made the PIN: ours must not outlive it.
        verification_id = self._save(sending, sent, self._rules.pin_lifetime - (time.monotonic() - started))
        return Sent(self._rules.pin_lifetime, self._rules.wait(0), verification_id)

    def resend(self, sending: Sending) -> Sent:
        """Have Infobip send the PIN that lives again: no other guesses, no longer life, and a longer wait.

        Raises:
            InvalidOtp: no PIN lives, or it has no guess left.
            TooManyRequests and the others: as for `send`.
        """
        pin = self._store.pending(sending.recipient, self._rules.max_attempts)
        if pin is None:
            raise InvalidOtp(reason="no_pin")
        return self._send_again(sending, pin)

    def _send_again(self, sending: Sending, pin: PendingPin, verification_id: str | None = None) -> Sent:
        sending, started = replace(sending, again=pin.again + 1), time.monotonic()
        noted = self._tracker.begin(sending, verification_id, pin.lifetime) if verification_id else ()
        with _Admitted(self._admission, sending):
            # Before it goes out: what cannot be counted is not sent.
            if not self._store.count_resend(sending.recipient, pin.pin_id, verification_id, noted):
                raise InvalidOtp(reason="no_pin")
            sent = self._infobip.resend_pin(pin.pin_id, sending)
        self._tracker.sent(sending, sent.message_id, verification_id, pin.verifications)
        left = max(0.0, pin.lifetime - (time.monotonic() - started))
        return Sent(left, self._rules.wait(sending.again), verification_id)

    def _save(self, sending: Sending, sent: SentPin, lifetime: float) -> str:
        verification_id = secrets.token_urlsafe(16)
        noted = self._tracker.begin(sending, verification_id, lifetime)
        try:
            replaced = self._store.save(sending.recipient, sent.pin_id, verification_id, lifetime, sending.order, noted)
        except StoreUnavailable as e:
            raise PinNotSaved(self._rules.wait(0)) from e
        self._tracker.ended(replaced)
        self._tracker.sent(sending, sent.message_id, verification_id)
        return verification_id

    def verify(self, recipient: Recipient, pin: str, verification_id: str | None = None) -> None:
        """Accept `pin` for `recipient`, once. Returns for a right PIN, raises for every other.

        The guess is counted before Infobip judges it, and given back only if Infobip certainly did not. With a
        `verification_id` that is not one of this PIN, nothing is counted and Infobip is not asked.

        Raises:
            InvalidOtp: wrong, expired, used, superseded, never sent, out of guesses, or of another request.
            TooManyRequests: Infobip's throttle.
            ProviderRefused, ProviderUnclear, ProviderTimeout, ServiceUnavailable: see `errors`.
        """
        guess = self._store.attempt(recipient, self._rules.max_attempts, verification_id)
        if guess is None:
            self._usual_time.pause()
            raise InvalidOtp(reason="no_pin")
        if not self._is_right(recipient, guess.pin_id, pin):
            if guess.number >= self._rules.max_attempts:
                self._tracker.ended(guess.verifications)
            raise InvalidOtp(reason="wrong_pin")
        if not self._store.consume(recipient, guess.pin_id):
            raise InvalidOtp(reason="used_pin")
        self._tracker.verified(recipient, guess.verifications)

    def _is_right(self, recipient: Recipient, pin_id: str, pin: str) -> bool:
        try:
            with self._usual_time.measured():
                return self._infobip.verify_pin(pin_id, pin)
        except OtpError as e:
            if e.nothing_done:
                self._store.refund_attempt(recipient, pin_id)
            raise


class _Admitted:
    """Passes the gates, and goes back through them where it is certain that nothing went out."""

    __slots__ = ("_admission", "_sending")

    def __init__(self, admission: Admission, sending: Sending) -> None:
        self._admission = admission
        self._sending = sending

    def __enter__(self) -> None:
        self._admission.enter(self._sending)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, OtpError) and error.nothing_done:
            self._admission.leave(self._sending)
