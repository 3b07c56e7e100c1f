"""The guard as a whole: its limits on sends, and what a verify changes in them."""

import logging
from collections.abc import Callable
from typing import Literal

from otp.recipients import Recipient
from otp.redis.background import Background
from otp.redis.client import RedisClient
from otp.send_limits.chain import SendLimit
from otp.send_limits.fraud_guard.fraud_limit import FraudLimit
from otp.send_limits.fraud_guard.scopes import Allowances, scopes
from otp.send_limits.fraud_guard.unverified_sends import UnverifiedSends
from otp.send_request import SendRequest

log = logging.getLogger("otp.guard")


class FraudGuard:
    """Counts unverified sends, and limits them.

    Args:
        mode: `block` refuses, `monitor` only logs what it would refuse, `off` does not count.
        pin_lifetime: seconds in which a send can be verified.
        on_suspicion: called for each send that looks like SMS pumping; must not block.
    """

    def __init__(
        self,
        redis: RedisClient,
        mode: Literal["block", "monitor", "off"],
        allowances: Allowances,
        pin_lifetime: float,
        on_suspicion: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._on_suspicion = on_suspicion
        self._blocks = mode == "block"
        self._on = mode != "off"
        self._unverified = UnverifiedSends(redis, pin_lifetime)
        self._scopes = [
            FraudLimit(redis, scope, blocks=self._blocks, on_suspicion=self._suspect) for scope in scopes(allowances)
        ]
        self._background = Background()

    @property
    def limits(self) -> list[SendLimit]:
        """The limits on sends; empty where the guard is off."""
        return [*self._scopes, self._unverified] if self._on else []

    def pin_verified(self, recipient: Recipient) -> None:
        """Count the sends to `recipient` as verified, in the background: they were not fraud.

        Where Redis fails, the guard stays stricter than it has to be.
        """
        if self._on and recipient.kind == "phone":
            self._background.run(self._record_verified, recipient.canonical)

    def finish(self) -> None:
        """Wait until the background is done."""
        self._background.finish()

    def _record_verified(self, phone: str) -> None:
        counted = [(scope, sent) for sent in self._unverified.take(phone) for scope in self._scopes]
        if commands := [command for scope, sent in counted for command in scope.record_result(sent, "verified")]:
            self._redis.run(*commands)

    def _suspect(self, send_request: SendRequest, why: str) -> None:
        self._on_suspicion()
        if not self._blocks:  # a refused send is seen in its response, in the alert and with `flask guard`
            log.warning("let a send to %s through that looks like SMS pumping (%s)", send_request.region, why)
