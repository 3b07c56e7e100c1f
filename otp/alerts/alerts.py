"""What the rest of the service calls when it has something to tell. No call waits for Redis or for a receiver."""

from contextlib import suppress

import gevent
from limits import RateLimitItem

from otp import shutdown
from otp.alerts import shared_limits
from otp.alerts.alert import Alert
from otp.alerts.rates import RIGHT, WRONG, Rates
from otp.alerts.sender import Sender
from otp.errors import Reason, StoreUnavailable

FLUSH_PAUSE = 5.0  # seconds between a first count and the look at what all workers counted
AT_THE_END = 2.0  # seconds that a stopping worker has for what it did not yet tell


class Alerts:
    """Starts its background work with the first alert or count, never before a fork, and ends it with the process."""

    def __init__(self, sender: Sender, rates: Rates) -> None:
        self._sender = sender
        self._rates = rates
        self._flushing: gevent.Greenlet | None = None
        shutdown.add(shutdown.Step.SEND_ALERTS, self.finish)

    def tell(self, alert: Alert) -> None:
        """Something has happened that the operator should hear of."""
        self._sender.tell(alert)

    def count(self, name: str) -> None:
        """Something in `rates.NAMES` has happened, which is alarming only if it happens often."""
        self._rates.count(name)
        if not self._flushing:
            self._flushing = gevent.spawn_later(FLUSH_PAUSE, self._flush)

    def pin_checked(self, right: bool) -> None:
        """Infobip has judged a PIN."""
        self.count(RIGHT if right else WRONG)

    def credentials_refused(self, status: int) -> None:
        """Infobip has refused the API key."""
        sentence = "Infobip refuses the API key, or what it is used for: nothing can be sent or verified."
        self.tell(Alert("provider.credentials_refused", sentence, {"status": status}))

    def limit_reached(self, reason: Reason, limit: RateLimitItem, client: str = "") -> None:
        """A limit that many share has refused a send for this `reason`; that of a `client` app, if one is named."""
        self.tell(shared_limits.limit_reached(reason, limit, client))

    def finish(self) -> None:
        """Tell what there is to tell, and end."""
        if self._flushing:
            self._flushing.kill()
            self._flush()
        self._sender.finish(AT_THE_END)

    def _flush(self) -> None:
        self._flushing = None
        with suppress(StoreUnavailable):
            for alert in self._rates.flush():
                self._sender.tell(alert)
