"""The rules of sending and verifying. No Flask, no Redis and no requests in here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from errors import InvalidOtp, OtpError, PinNotSaved, StoreUnavailable

if TYPE_CHECKING:
    from infobip.usual_time import UsualTime
    from infobip_client import InfobipClient
    from spending.admission import Admission
    from spending.sending import Sending
    from store import Store


@dataclass(frozen=True)
class Rules:
    """`pin_lifetime` and `cooldown` in seconds; `max_attempts` guesses a PIN."""

    pin_lifetime: float
    cooldown: float
    max_attempts: int


class OtpService:
    """Sends a PIN to a phone and checks what the person typed.

    Args:
        usual_time: how long a verify takes where Infobip judges it.
        on_verified: hears of each phone whose PIN was accepted; must not block.
    """

    def __init__(
        self,
        admission: Admission,
        store: Store,
        infobip: InfobipClient,
        rules: Rules,
        usual_time: UsualTime,
        on_verified: Callable[[str], None],
    ) -> None:
        self._admission = admission
        self._store = store
        self._infobip = infobip
        self._rules = rules
        self._usual_time = usual_time
        self._on_verified = on_verified

    def send(self, sending: Sending) -> str:
        """Have Infobip send a new PIN to a phone; an older one stops working.

        Returns the verification id, 128 random bits, that only who asked for this PIN knows.

        The phone's cooldown is taken first, and kept unless it is certain that nothing went out: so one
        accepted request sends at most one SMS, however many race.

        Raises:
            TooManyRequests: the phone's cooldown, its limit, the day's limit or Infobip's throttle.
            ProviderRefused, ProviderUnclear, ProviderTimeout, ServiceUnavailable: see `errors`.
        """
        phone = sending.phone
        self._admission.enter(sending)
        started = time.monotonic()
        try:
            pin_id = self._infobip.send_pin(phone)
        except OtpError as e:
            if e.nothing_done:
                self._admission.leave(sending)
            raise
        # Infobip's clock runs since it made the PIN: ours must not outlive it.
        return self._save(phone, pin_id, self._rules.pin_lifetime - (time.monotonic() - started))

    def _save(self, phone: str, pin_id: str, lifetime: float) -> str:
        verification_id = secrets.token_urlsafe(16)
        try:
            self._store.save(phone, pin_id, verification_id, lifetime)
        except StoreUnavailable as e:
            raise PinNotSaved(self._rules.cooldown) from e
        return verification_id

    def verify(self, phone: str, pin: str, verification_id: str | None = None) -> None:
        """Accept `pin` for `phone` (E.164), once. Returns for a right PIN and raises for every other.

        The guess is counted before Infobip judges it, and given back only if Infobip certainly did not. With a
        `verification_id` that is not the one of this PIN, nothing is counted and Infobip is not asked.

        Raises:
            InvalidOtp: wrong, expired, used, superseded, never sent, out of guesses, or of another request.
            TooManyRequests: Infobip's throttle.
            ProviderRefused, ProviderUnclear, ProviderTimeout, ServiceUnavailable: see `errors`.
        """
        pin_id = self._store.attempt(phone, self._rules.max_attempts, verification_id)
        if pin_id is None:
            self._usual_time.pause()
            raise InvalidOtp(reason="no_pin")
        if not self._is_right(phone, pin_id, pin):
            raise InvalidOtp(reason="wrong_pin")
        if not self._store.consume(phone, pin_id):
            raise InvalidOtp(reason="used_pin")
        self._on_verified(phone)

    def _is_right(self, phone: str, pin_id: str, pin: str) -> bool:
        try:
            with self._usual_time.measured():
                return self._infobip.verify_pin(pin_id, pin)
        except OtpError as e:
            if e.nothing_done:
                self._store.give_back(phone, pin_id)
            raise
