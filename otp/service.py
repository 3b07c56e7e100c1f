"""The rules of sending and verifying. No Flask, no Redis and no requests in here."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, NamedTuple, NoReturn

from otp.errors import InvalidOtp, OtpError, PinGone, PinNotSaved, Reason, StoreUnavailable
from otp.ports import Claim, Guess, Limits, LockedOut, NoPin, PendingPin, PinProvider, PinStore, SentPin, StatusTracker
from otp.recipients import Recipient
from otp.requester import Requester
from otp.response_padding import ResponsePadding
from otp.send_request import SendRequest


@dataclass(frozen=True)
class Rules:
    """`pin_lifetime` in seconds.

    `cooldowns` are the seconds until the next message, after the first one with a PIN, the second, and so on; the last
    holds for all that follow. `send_again` says what a second send of the same requester does while its PIN lives: it
    has that PIN sent once more, or a new one.
    """

    pin_lifetime: float
    cooldowns: tuple[float, ...]
    send_again: Literal["new", "same"] = "new"

    def cooldown(self, resends: int) -> float:
        """The seconds until the next message, after a PIN was sent once more `resends` times."""
        return self.cooldowns[min(resends, len(self.cooldowns) - 1)]


class Sent(NamedTuple):
    """A PIN is on its way: how long it lives and when it can be sent once more, in seconds.

    `verification_id` is 128 random bits that only the requester of the PIN learns; None where no new id was made.
    """

    expires_in: float
    resend_in: float
    verification_id: str | None = None


class Verified(NamedTuple):
    """A right PIN: `identity` is that of the address it was sent to, `nonce` that of its send, or ""."""

    identity: str
    nonce: str


class OtpService:
    """Sends a PIN to a phone or an e-mail address, and checks what the person typed.

    Args:
        response_padding: lets a refused verify take as long as one that the provider checks.
        on_locked_out: called for each guess that was refused because too many before it failed; must not block.
    """

    def __init__(
        self,
        send_limits: Limits,
        store: PinStore,
        provider: PinProvider,
        rules: Rules,
        response_padding: ResponsePadding,
        tracker: StatusTracker,
        on_locked_out: Callable[[], None],
    ) -> None:
        self._send_limits = send_limits
        self._store = store
        self._provider = provider
        self._rules = rules
        self._response_padding = response_padding
        self._tracker = tracker
        self._on_locked_out = on_locked_out

    def send(self, send_request: SendRequest, verification_id: str | None = None) -> Sent:
        """Send a new PIN; or, by the rules, send the requester's own pending PIN once more: that of the
        `verification_id`, or the client's newest if it was sent for the same end user.

        The recipient's cooldown is taken first, and kept unless it is certain that nothing went out: so one
        accepted request sends at most one message, however many race.

        Raises:
            TooManyRequests: the cooldown, a limit, or the provider's throttle.
            BudgetExhausted: the message would cost more than what is left.
            ProviderRefused, ProviderUnclear, ProviderTimeout, ServiceUnavailable: see `errors`.
        """
        if self._rules.send_again == "same" and (sent := self._repeat(send_request, verification_id)):
            return sent
        with _Reservation(self._send_limits, send_request):
            started = time.monotonic()
            sent_pin = self._provider.send_pin(send_request)
        # The PIN's lifetime at the provider has begun: our record must not outlive it.
        new_id = self._save(send_request, sent_pin, self._rules.pin_lifetime - (time.monotonic() - started))
        return Sent(self._rules.pin_lifetime, self._rules.cooldown(0), new_id)

    def _repeat(self, send_request: SendRequest, verification_id: str | None) -> Sent | None:
        """None if the requester has no PIN that can be sent once more."""
        own = "" if verification_id else send_request.requester.end_user
        if not verification_id and not own:
            return None
        pin = self._store.pending(
            send_request.recipient,
            Claim(send_request.requester.client, verification_id or None, own, send_request.purpose),
        )
        if isinstance(pin, NoPin) or pin.nonce != send_request.nonce:
            return None
        new_id = None if verification_id else secrets.token_urlsafe(16)
        try:
            sent = self._send_again(send_request, pin, new_id)
        except PinGone:
            return None
        return sent._replace(verification_id=new_id or verification_id)

    def resend(self, send_request: SendRequest, verification_id: str | None = None) -> Sent:
        """Send a pending PIN once more: that of the `verification_id`; without one, the newest of the client.

        The PIN gets neither more guesses nor a longer life, and the next cooldown is longer.

        Raises:
            InvalidOtp: the PIN does not live, or has no guess left.
            TooManyRequests and the others: as for `send`. Without an id, the limits refuse whether there is a PIN or
                not; a budget may then report a threshold for a message that was not sent.
        """
        pin = self._store.pending(send_request.recipient, Claim(send_request.requester.client, verification_id))
        if isinstance(pin, NoPin):
            if verification_id is None:  # a caller that knows only a number must not learn whether there is a PIN
                self._send_limits.reserve(send_request)
                self._send_limits.release(send_request)
            raise InvalidOtp(reason=Reason.NO_PIN)
        return self._send_again(send_request, pin)

    def _send_again(self, send_request: SendRequest, pin: PendingPin, verification_id: str | None = None) -> Sent:
        send_request, started = replace(send_request, resends=pin.resends + 1), time.monotonic()
        try:
            with _Reservation(self._send_limits, send_request):
                # Before it goes out: what cannot be counted is not sent.
                if not self._store.count_resend(send_request, pin, verification_id):
                    raise PinGone(reason=Reason.NO_PIN)
                sent = self._provider.resend_pin(pin.pin_id, send_request)
        except PinGone:
            self._drop(send_request.recipient, pin)
            raise
        self._tracker.message_sent(send_request, sent.message_id, verification_id, pin.id_hashes)
        left = max(0.0, pin.lifetime - (time.monotonic() - started))
        return Sent(left, self._rules.cooldown(send_request.resends), verification_id)

    def _save(self, send_request: SendRequest, sent: SentPin, lifetime: float) -> str:
        verification_id = secrets.token_urlsafe(16)
        try:
            replaced = self._store.save(send_request, sent.pin_id, verification_id, lifetime)
        except StoreUnavailable as e:
            raise PinNotSaved(self._rules.cooldown(0)) from e
        self._tracker.pin_ended(replaced)
        self._tracker.message_sent(send_request, sent.message_id, verification_id)
        return verification_id

    def verify(
        self,
        recipient: Recipient,
        pin: str,
        requester: Requester,
        verification_id: str | None = None,
        purpose: str = "",
    ) -> Verified:
        """Accept `pin` for `recipient`, once, and return what it proves.

        It is compared with the PIN of the `verification_id`; without one, with the newest of the client. The guess is
        counted before the provider checks it, and refunded only if the provider certainly did not. If the result is
        unknown, it is not a failure of the recipient. Where no PIN is meant, nothing is counted and the provider is
        not asked; the same holds for a PIN of another purpose: a code for a newsletter cannot confirm a payment.

        Raises:
            InvalidOtp: wrong, expired, used, superseded, never sent, out of guesses, or of another request or client.
            TooManyRequests: the provider's throttle.
            ProviderRefused, ProviderUnclear, ProviderTimeout, ServiceUnavailable: see `errors`.
        """
        guess = self._store.attempt(recipient, Claim(requester.client, verification_id, purpose=purpose))
        if not isinstance(guess, Guess):
            self._refuse(guess)
        if not self._is_right(recipient, guess, pin):
            if guess.is_last:
                self._tracker.pin_ended(guess.id_hashes)
            raise InvalidOtp(reason=Reason.WRONG_PIN)
        if not self._store.consume(recipient, guess.pin_id, requester):
            raise InvalidOtp(reason=Reason.USED_PIN)
        self._tracker.pin_verified(recipient, guess.id_hashes)
        return Verified(guess.sent_to, guess.nonce)

    def _refuse(self, why: LockedOut | NoPin) -> NoReturn:
        self._response_padding.wait()
        if isinstance(why, NoPin):
            raise InvalidOtp(reason=Reason.NO_PIN)
        self._on_locked_out()
        raise InvalidOtp(reason=Reason.FAILURE_LIMIT)

    def _is_right(self, recipient: Recipient, guess: Guess, pin: str) -> bool:
        try:
            with self._response_padding.measure():
                return self._provider.verify_pin(guess.pin_id, pin)
        except PinGone:
            if (
                not guess.is_last
            ):  # a wrong last guess may be the reason why the provider does not know the PIN any more
                self._store.refund_attempt(recipient, guess.pin_id, was_not_checked=False)
            self._drop(recipient, guess)
            raise
        except OtpError as e:
            self._store.refund_attempt(recipient, guess.pin_id, was_not_checked=not e.keeps_reservation)
            raise

    def _drop(self, recipient: Recipient, pin: PendingPin | Guess) -> None:
        if self._store.drop(recipient, pin.pin_id):
            self._tracker.pin_ended(pin.id_hashes)


class _Reservation:
    """Counts a send in the limits; uncounts it where it is certain that nothing went out."""

    __slots__ = ("_send_limits", "_send_request")

    def __init__(self, send_limits: Limits, send_request: SendRequest) -> None:
        self._send_limits = send_limits
        self._send_request = send_request

    def __enter__(self) -> None:
        self._send_limits.reserve(self._send_request)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, OtpError) and not error.keeps_reservation:
            self._send_limits.release(self._send_request)
