"""What a message costs, by the region of its phone. Money is counted in millionths of the currency's unit: integers."""

from collections.abc import Mapping
from dataclasses import dataclass

MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """Prices in millionths, by ISO 3166 region; `default` is for every other region."""

    currency: str
    default: int
    by_region: Mapping[str, int]

    def of(self, region: str) -> int:
        """The price of a message to `region`."""
        return self.by_region.get(region, self.default)

    def times(self, messages: int) -> "Prices":
        """The prices of a message that is sent in so many parts."""
        by_region = {region: price * messages for region, price in self.by_region.items()}
        return Prices(self.currency, self.default * messages, by_region)


@dataclass(frozen=True)
class PriceLists:
    """Prices in one currency, by the name of the channel; messages over a channel without prices cost nothing."""

    by_channel: Mapping[str, Prices]

    @property
    def currency(self) -> str:
        """The currency of all prices; "" where nothing has a price."""
        return next((prices.currency for prices in self.by_channel.values()), "")

    def of(self, channel: str, region: str) -> int:
        """The price of a message over `channel` to `region`, in millionths."""
        prices = self.by_channel.get(channel)
        return prices.of(region) if prices else 0
