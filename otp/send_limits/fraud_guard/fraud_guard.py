"""The guard as a whole: its gates for sends, and what it learns from a verify."""

import logging

from otp.alerts.alerts import Alerts
from otp.alerts.rates import GUARD_REFUSAL
from otp.recipients import Recipient
from otp.redis.background import Background
from otp.redis.client import RedisClient
from otp.send_limits.chain import SendLimit
from otp.send_limits.fraud_guard.fraud_limit import FraudLimit
from otp.send_limits.fraud_guard.scopes import country, scopes
from otp.send_limits.fraud_guard.unverified_sends import UnverifiedSends
from otp.send_request import SendRequest
from otp.settings.guard import GuardSettings

log = logging.getLogger("otp.guard")


class FraudGuard:
    """Counts what is sent and not verified, and has the gates that stop it.

    Args:
        pin_lifetime: seconds in which a send can be verified.
    """

    def __init__(self, redis: RedisClient, settings: GuardSettings, pin_lifetime: float, alerts: Alerts) -> None:
        self._redis = redis
        self._alerts = alerts
        self._blocks = settings.fraud_guard == "block"
        self._on = settings.fraud_guard != "off"
        self._pending = UnverifiedSends(redis, pin_lifetime)
        self._scopes = [
            FraudLimit(redis, scope, blocks=self._blocks, suspects=self._suspects) for scope in scopes(settings)
        ]
        self._background = Background()

    @property
    def limits(self) -> list[SendLimit]:
        """None where the guard is off."""
        return [*self._scopes, self._pending] if self._on else []

    def verified(self, recipient: Recipient) -> None:
        """The sends to `recipient` were an honest person's. Takes back what they used up, in the background.

        Where Redis fails, the guard is then stricter than it has to be.
        """
        if self._on and recipient.kind == "phone":
            self._background.run(self._settle, recipient.canonical)

    def finish(self) -> None:
        """Wait until that is done."""
        self._background.finish()

    def _settle(self, phone: str) -> None:
        sent = self._pending.take(phone)
        if settled := [one for each in sent for scope in self._scopes for one in scope.settle(each, "verified")]:
            self._redis.run(*settled)

    def _suspects(self, send_request: SendRequest, why: str) -> None:
        self._alerts.count(GUARD_REFUSAL)
        if not self._blocks:  # what is refused is seen in the answers, the alert and `flask guard`
            log.warning("let a send to %s through that looks like SMS pumping (%s)", country(send_request), why)
