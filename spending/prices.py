"""What an SMS costs, by the region of its phone. Money is counted in millionths of the currency's unit, as integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """Prices in millionths, by ISO 3166 region; `default` is for every other one."""

    currency: str
    default: int
    by_region: Mapping[str, int]

    def of(self, region: str) -> int:
        """The price of an SMS to `region`."""
        return self.by_region.get(region, self.default)


def written(millionths: int) -> str:
    """An amount as people write it: 0.08, 12.50, 100.00."""
    amount = f"{Decimal(millionths) / MILLION:.6f}"
    return amount[:-4] + amount[-4:].rstrip("0")
