"""What a message costs, by the region of its phone. Money is counted in millionths of the currency's unit: integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from otp.channels import CHANNELS
from otp.setting_types import Region, json_or_file

MILLION = 1_000_000

Amount = Annotated[Decimal, Field(ge=0, le=10**9, decimal_places=6)]


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

    def plus(self, amount: int) -> "Prices":
        """The prices of a message that costs so many millionths more."""
        by_region = {region: price + amount for region, price in self.by_region.items()}
        return Prices(self.currency, self.default + amount, by_region)


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

    def over(self, amount: int, region: str) -> frozenset[str]:
        """The names of the channels over which a message to `region` costs more than `amount`, in millionths."""
        return frozenset(name for name, prices in self.by_channel.items() if prices.of(region) > amount)


class _PriceList(BaseModel):
    """The JSON of SMS_PRICES and VOICE_PRICES: the members with other names are regions."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    __pydantic_extra__: dict[Region, Amount]

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    default: Amount


def read_prices(given: str) -> Prices:
    """Read a JSON text, or the file of that path with one. Members whose names begin with _ are comments.

    Raises:
        ValueError: one sentence about what is wrong with it.
    """
    members = json_or_file(given, '{"currency": "EUR", "default": 0.08, "US": 0.0075}', parse_float=Decimal)
    try:
        listed = _PriceList.model_validate({k: v for k, v in members.items() if not k.startswith("_")})
    except ValidationError as e:
        error = e.errors()[0]
        raise ValueError(f"{error['loc'][-1]}: {error['msg'].removeprefix('Value error, ')}") from e
    by_region = {region: in_millionths(price) for region, price in listed.__pydantic_extra__.items()}
    return Prices(listed.currency, in_millionths(listed.default), by_region)


def price_lists(sms: Prices | None, segments: int, voice: Prices | None, lookup: int = 0) -> PriceLists:
    """The prices of the channels that reach phones. Without `voice`, a call costs what a text of so many SMS does.

    `lookup` is what each text costs in addition, in millionths.
    """
    text = sms.times(segments) if sms else None
    prices = {name: text for name, channel in CHANNELS.items() if channel.member == "phoneNumber"}
    prices |= {"sms": text and text.plus(lookup), "voice": voice or text}
    return PriceLists({name: each for name, each in prices.items() if each})


def in_millionths(amount: Decimal) -> int:
    """An amount of the currency's unit, with up to six decimal places."""
    return int(amount * MILLION)
