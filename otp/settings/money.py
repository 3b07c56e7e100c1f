"""What messages cost, and how much may be spent."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from otp.channels import CHANNELS
from otp.send_limits.prices import MILLION, PriceLists, Prices
from otp.setting_types import Region, json_or_file
from otp.settings.section import Section

Amount = Annotated[Decimal, Field(ge=0, le=10**9, decimal_places=6)]


class _PriceList(BaseModel):
    """The JSON of SMS_PRICES and VOICE_PRICES, its regions apart."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    default: Amount
    regions: dict[Region, Amount]


def _prices(given: Any) -> Any:
    """A JSON text, or the path of a file with one."""
    if not isinstance(given, str):
        return given
    members = json_or_file(given, '{"currency": "EUR", "default": 0.08, "US": 0.0075}', parse_float=Decimal)
    try:
        listed = _PriceList.model_validate(_grouped(members))
    except ValidationError as e:
        error = e.errors()[0]
        where, why = error["loc"][-1], error["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {why}") from e
    by_region = {region: _millionths(price) for region, price in listed.regions.items()}
    return Prices(listed.currency, _millionths(listed.default), by_region)


def _grouped(members: dict[str, Any]) -> dict[str, Any]:
    """Regions stand beside the rest; what begins with _ is a comment."""
    named: dict[str, Any] = {name: members[name] for name in ("currency", "default") if name in members}
    return {**named, "regions": {k: v for k, v in members.items() if k not in named and not k.startswith("_")}}


def _millionths(amount: Decimal) -> int:
    return int(amount * MILLION)


class MoneySettings(Section):
    """Budgets are in the currency of the prices; 0 is none. `sms_segments` is how many SMS one text takes at most."""

    sms_segments: int = Field(1, ge=1, le=10)
    sms_prices: Annotated[Prices | None, NoDecode, BeforeValidator(_prices)] = None
    voice_prices: Annotated[Prices | None, NoDecode, BeforeValidator(_prices)] = None
    daily_budget: Amount = Decimal(0)
    monthly_budget: Amount = Decimal(0)

    @field_validator("voice_prices")
    @classmethod
    def _in_one_currency(cls, prices: Prices | None, info: ValidationInfo) -> Prices | None:
        sms = info.data.get("sms_prices")
        if prices and (sms is None or sms.currency != prices.currency):
            raise ValueError("needs SMS_PRICES in the same currency")
        return prices

    @field_validator("daily_budget", "monthly_budget")
    @classmethod
    def _needs_prices(cls, budget: Decimal, info: ValidationInfo) -> Decimal:
        if budget and info.data.get("sms_prices", "bad") is None:
            raise ValueError("needs SMS_PRICES")
        return budget

    @property
    def prices(self) -> PriceLists:
        """By the channels that reach phones. A call costs what a text does, unless VOICE_PRICES is set."""
        text = self.sms_prices.times(self.sms_segments) if self.sms_prices else None
        prices = {name: text for name, channel in CHANNELS.items() if channel.member == "phoneNumber"}
        prices["voice"] = self.voice_prices or text
        return PriceLists({name: each for name, each in prices.items() if each})

    @property
    def budgets(self) -> tuple[int, int]:
        """Of a day and of a month, in millionths."""
        return _millionths(self.daily_budget), _millionths(self.monthly_budget)
