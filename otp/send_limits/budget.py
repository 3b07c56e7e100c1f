"""A budget in money: what the messages of a day, or of a month, may cost. Days and months are those of UTC."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from otp.errors import BudgetExhausted, Reason
from otp.redis import keys
from otp.redis.replies import members, number
from otp.redis.scripts import Command, Script
from otp.send_limits.prices import PriceLists
from otp.send_request import SendRequest

THRESHOLDS = (50, 80, 100)  # percent
AFTERWARDS = 3600  # seconds that a counter outlives its period: servers' clocks differ

_RESERVE = Script("budget_reserve")
_RELEASE = Script("budget_release")


class Period(NamedTuple):
    """A day (2026-11-23) or a month (2026-11): the reason of its refusals, its name, and its end (Unix seconds)."""

    reason: Reason
    name: str
    end: float


def day(now: float) -> Period:
    """The day of `now`, in Unix seconds."""
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Period(Reason.DAY_BUDGET, f"{midnight:%Y-%m-%d}", (midnight + timedelta(days=1)).timestamp())


def month(now: float) -> Period:
    """The month of `now`, in Unix seconds."""
    today = datetime.fromtimestamp(now, UTC)
    first = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
    return Period(Reason.MONTH_BUDGET, f"{today:%Y-%m}", first.timestamp())


class Budget:
    """Lets a message through while its price fits into the budget of the period.

    Args:
        period: the day or month of a time in Unix seconds.
        amount: in millionths of the currency's unit.
        on_threshold: called once a period for each threshold, with the period's name, the threshold in percent and
            `amount`; must not block.
    """

    def __init__(
        self,
        period: Callable[[float], Period],
        amount: int,
        prices: PriceLists,
        on_threshold: Callable[[str, int, int], None],
    ) -> None:
        self._period = period
        self._amount = amount
        self._prices = prices
        self._on_threshold = on_threshold

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Add the price, if it fits."""
        period, price = self._period(send_request.at), self._price(send_request)
        return [
            _RESERVE([keys.budget(period.name)], self._amount, price, int(period.end - send_request.at) + AFTERWARDS)
        ]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> BudgetExhausted | None:
        """A refusal has the seconds until the period is over.

        Records the channels that are too expensive after this send.
        """
        fits, before, now, spent = members(replies[0], int, int, int, int)
        period = self._period(send_request.at)
        for percent in THRESHOLDS if fits else THRESHOLDS[-1:]:
            if before * 100 < self._amount * percent <= now * 100:
                self._on_threshold(period.name, percent, self._amount)
        send_request.reserved.unaffordable |= self._prices.over(self._amount - spent, send_request.region)
        return None if fits else BudgetExhausted(period.end - send_request.at, period.reason)

    def release(self, send_request: SendRequest) -> list[Command]:
        """Subtract the price from the period in which it was added."""
        return [_RELEASE([keys.budget(self._period(send_request.at).name)], self._price(send_request))]

    def look(self, send_request: SendRequest) -> list[Command]:
        """Read what was spent."""
        return [("HMGET", keys.budget(self._period(send_request.at).name), "spent")]

    def reasons(self, replies: list[Any], send_request: SendRequest) -> dict[Reason, float]:
        """The budget, if it has no room for the price."""
        period, spent = self._period(send_request.at), number(replies[0][0])
        return {period.reason: period.end} if spent + self._price(send_request) > self._amount else {}

    def _price(self, send_request: SendRequest) -> int:
        return self._prices.of(send_request.channel.name, send_request.region)
