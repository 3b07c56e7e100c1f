"""The gate of a budget in money: what the messages of a day, or of a month, may cost. Days and months are UTC's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from otp.alerts.alert import Alert
from otp.errors import BudgetExhausted, Reason
from otp.redis import keys
from otp.redis.replies import members
from otp.redis.scripts import Command, Script
from otp.send_limits.prices import PriceLists, written
from otp.send_request import SendRequest

THRESHOLDS = (50, 80, 100)  # percent
AFTERWARDS = 3600  # seconds that a counter outlives its period: servers' clocks differ

_RESERVE = Script("budget_reserve")
_RELEASE = Script("budget_release")


class Period(NamedTuple):
    """A day (2026-11-23) or a month (2026-11), and when it is over (Unix seconds)."""

    kind: Literal["day", "month"]
    name: str
    end: float


def day(now: float) -> Period:
    """The day of `now`, in Unix seconds."""
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Period("day", f"{midnight:%Y-%m-%d}", (midnight + timedelta(days=1)).timestamp())


def month(now: float) -> Period:
    """The month of `now`, in Unix seconds."""
    today = datetime.fromtimestamp(now, UTC)
    first = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
    return Period("month", f"{today:%Y-%m}", first.timestamp())


class Budget:
    """Lets a message through while its price fits into the budget of the period.

    Args:
        period: the one that a time falls into.
        amount: in millionths.
        tell: hears of each threshold once a period; must not block.
    """

    def __init__(
        self,
        period: Callable[[float], Period],
        amount: int,
        prices: PriceLists,
        tell: Callable[[Alert], None],
    ) -> None:
        self._period = period
        self._amount = amount
        self._prices = prices
        self._tell = tell

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Add the price."""
        period, price = self._period(send_request.at), self._price(send_request)
        return [
            _RESERVE([keys.budget(period.name)], self._amount, price, int(period.end - send_request.at) + AFTERWARDS)
        ]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> BudgetExhausted | None:
        """A refusal has the seconds until the period is over."""
        fits, before, now = members(replies[0], int, int, int)
        period = self._period(send_request.at)
        for percent in THRESHOLDS if fits else THRESHOLDS[-1:]:
            if before * 100 < self._amount * percent <= now * 100:
                self._tell(self._alert(percent, period, send_request.at))
        return None if fits else BudgetExhausted(period.end - send_request.at, Reason(f"{period.kind}_budget"))

    def release(self, send_request: SendRequest) -> list[Command]:
        """Give the price back to the period that it was taken from."""
        return [_RELEASE([keys.budget(self._period(send_request.at).name)], self._price(send_request))]

    def _price(self, send_request: SendRequest) -> int:
        return self._prices.of(send_request.channel.name, send_request.region)

    def _alert(self, percent: int, period: Period, at: float) -> Alert:
        budget, currency = written(self._amount), self._prices.currency
        sentence = f"{percent} % of the budget for {period.name} ({budget} {currency}) is spent."
        if percent == 100:
            sentence = f"The budget for {period.name} ({budget} {currency}) is used up: what it cannot pay is not sent."
        return Alert(
            "budget.threshold",
            sentence,
            {"period": period.name, "percent": percent, "budget": budget, "currency": currency},
            subject=f"{period.name}:{percent}",
            at=at,
        )
