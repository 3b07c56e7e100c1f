"""Sends alerts one after the other, in the background, each kind at most once in ten minutes."""

import logging

import gevent

from otp.alerts.alert import Alert
from otp.alerts.webhook import Webhook
from otp.errors import StoreUnavailable
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.telemetry import metrics

log = logging.getLogger("otp.alerts")

QUIET = 600  # seconds between two alerts of one kind
MOST_WAITING = 100


class Sender:
    """Posts alerts to a webhook. Logs an alert if there is no webhook, or if the webhook does not take it."""

    def __init__(self, redis: RedisClient, webhook: Webhook | None) -> None:
        self._redis = redis
        self._webhook = webhook
        self._waiting: dict[str, Alert] = {}  # by kind
        self._greenlet: gevent.Greenlet | None = None

    def send(self, alert: Alert) -> None:
        """Send `alert` in the background, and return at once. It is dropped if too many wait already."""
        if len(self._waiting) >= MOST_WAITING:
            log.error("an alert was dropped, for too many wait: %s", alert.kind)
            return
        self._waiting.setdefault(alert.kind, alert)
        if not self._greenlet:  # a greenlet that has ended is false, too
            self._greenlet = gevent.spawn(self._drain)

    def finish(self, seconds: float) -> None:
        """Send the alerts that wait, for at most so many seconds; log the rest."""
        if self._greenlet:
            self._greenlet.join(seconds)
            self._greenlet.kill()
        for alert in self._waiting.values():
            _log(alert)

    def _drain(self) -> None:
        while self._waiting:
            kind, alert = next(iter(self._waiting.items()))
            self._deliver(alert)
            del self._waiting[kind]

    def _deliver(self, alert: Alert) -> None:
        try:
            taken = self._redis.run(("SET", keys.alert(alert.kind), 1, "NX", "EX", max(QUIET, alert.quiet)))
        except StoreUnavailable:
            log.error("an alert was dropped, for Redis failed: %s", alert.kind)
            return
        if taken != ["OK"]:
            return
        metrics.ALERTS.labels(alert.type).inc()
        if not (self._webhook and self._webhook.post(alert)):
            _log(alert)


def _log(alert: Alert) -> None:
    log.warning("%s: %s", alert.kind, alert.sentence)
