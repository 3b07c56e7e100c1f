"""What Infobip charges for messages, by its delivery reports, compared with the prices that the service counts."""

from collections.abc import Callable

from otp.delivery.sent_messages import ReportedMessage
from otp.infobip.delivery_reports import Charge
from otp.telemetry import metrics

CLEARLY = 1.1  # more than this many times the counted price; rounding and exchange rates stay below it
MOST_CURRENCIES = 5  # labels in a worker: an account is charged in one
OTHER = "other"


class Charges:
    """Counts charges, each in the currency of its report.

    Args:
        currency: of the prices; "" without prices.
        price_of: the price that is counted for a message over a channel to a country, in millionths; 0 for none.
        on_difference: called with the currency of the prices, the charge, its message's channel and country, and the
            counted price, where clearly more is charged, or in another currency; must not block.
    """

    def __init__(
        self,
        currency: str,
        price_of: Callable[[str, str], int],
        on_difference: Callable[[str, Charge, str, str, int], None],
    ) -> None:
        self._currency = currency
        self._price_of = price_of
        self._on_difference = on_difference
        self._labels = {currency} - {""}

    def add(self, charge: Charge | None, message: ReportedMessage) -> None:
        """Count the charge for a message, if its report has one. Call it once for each message."""
        if charge is None:
            return
        channel, country = message.channel, message.country
        metrics.CHARGED.labels(channel, country, self._label(charge.currency)).inc(charge.amount / 1_000_000)
        counted = self._price_of(channel, country)
        is_other = charge.currency != self._currency
        if counted and charge.amount and (is_other or charge.amount > counted * CLEARLY):
            self._on_difference(self._currency, charge, channel, country, counted)

    def _label(self, currency: str) -> str:
        if len(self._labels) < MOST_CURRENCIES:
            self._labels.add(currency)
        return currency if currency in self._labels else OTHER
