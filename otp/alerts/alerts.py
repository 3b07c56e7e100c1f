"""The entry points for alerts. No call waits for Redis or a receiver."""

from contextlib import suppress

import gevent
from limits import RateLimitItem

from otp import shutdown
from otp.alerts import messages
from otp.alerts.counts import MOST, RIGHT, WRONG, FailedVerifies, Kind, Rates
from otp.alerts.sender import Sender
from otp.errors import Reason, StoreUnavailable
from otp.infobip.delivery_reports import Charge
from otp.telemetry import metrics

FLUSH_PAUSE = 5.0  # seconds between a first count and the look at what all workers counted
AT_THE_END = 2.0  # seconds that a stopping worker has for the alerts that it has not sent


class Alerts:
    """Starts its background work with the first alert or count, never before a fork, and ends it with the process."""

    def __init__(self, sender: Sender, rates: Rates, failed_verifies: FailedVerifies) -> None:
        self._sender = sender
        self._rates = rates
        self._failed_verifies = failed_verifies
        self._flushing: gevent.Greenlet | None = None
        for kind in MOST:  # from 0 on: Prometheus sees no increase where a counter appears with 1
            metrics.ALERTS.labels(f"verifies.{kind}")
        shutdown.add(shutdown.Step.SEND_ALERTS, self.finish)

    def count(self, name: str) -> None:
        """Count an event of `counts.EVENTS`; only many of them cause an alert."""
        self._rates.count(name)
        self._schedule_flush()

    def verify_failed(self, kind: Kind, fingerprint: str, masked: str) -> None:
        """Count a failed verify at a recipient, or from an address."""
        self._failed_verifies.count(kind, fingerprint, masked)
        self._schedule_flush()

    def pin_checked(self, right: bool) -> None:
        """Count a PIN that Infobip has checked."""
        self.count(RIGHT if right else WRONG)

    def credentials_refused(self, status: int) -> None:
        """Send an alert: Infobip has refused the API key."""
        self._sender.send(messages.credentials_refused(status))

    def limit_reached(self, reason: Reason, limit: RateLimitItem, client: str = "") -> None:
        """Send an alert: a limit that many share has refused a send for this `reason`."""
        self._sender.send(messages.limit_reached(reason, limit, client))

    def budget_threshold(self, currency: str, period: str, percent: int, amount: int) -> None:
        """Send an alert: `percent` % of a budget of `amount` (millionths) is spent."""
        self._sender.send(messages.budget_threshold(currency, period, percent, amount))

    def prices_differ(self, currency: str, charge: Charge, channel: str, country: str, counted: int) -> None:
        """Send an alert: a message costs more than the `counted` price (millionths), or in another currency."""
        self._sender.send(messages.prices_differ(currency, charge, channel, country, counted))

    def finish(self) -> None:
        """Send the alerts that wait, and end."""
        if self._flushing:
            self._flushing.kill()
            self._flush()
        self._sender.finish(AT_THE_END)

    def _schedule_flush(self) -> None:
        if not self._flushing:
            self._flushing = gevent.spawn_later(FLUSH_PAUSE, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        for flush in (self._rates.flush, self._failed_verifies.flush):
            with suppress(StoreUnavailable):
                for alert in flush():
                    self._sender.send(alert)
