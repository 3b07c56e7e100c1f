"""What the guard against SMS pumping lets through. Each number's reason stands in the README, and in .env.example."""

from typing import Annotated, Literal

from pydantic import Field

from otp.setting_types import Duration
from otp.settings.section import Section

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Ratio = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class GuardSettings(Section):
    """The guard's budgets count sends that nobody verified; durations are in seconds."""

    fraud_guard: Literal["block", "monitor", "off"] = "block"
    guard_grace: Annotated[Duration, Field(ge=60, le=30 * 60)] = 3 * 60
    guard_country_pending: Count = 195
    guard_country_hour: Count = 30
    guard_country_day: Count = 30
    guard_country_least: Count = 10
    guard_country_ratio: Ratio = 1
    guard_country_follow: Ratio = 4
    guard_prefix_hour: Count = 10
    guard_prefix_ratio: Ratio = 2
    guard_address_countries: Count = 3
    guard_known: Annotated[Duration, Field(ge=60)] = 30 * 24 * 3600
