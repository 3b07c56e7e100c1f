"""Settings: read once from the environment and `.env`, typed, frozen, secrets hidden."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import limits
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from otp.channels import CHANNELS
from otp.redis.keys import PREFIX
from otp.redis.url import check
from otp.setting_types import (
    ByCommas,
    Identifier,
    KeyPrefix,
    Limit,
    ListenAddress,
    NumberType,
    Region,
    Secret,
    is_duration,
)
from otp.settings import env_lines
from otp.settings.account import AccountSettings
from otp.settings.alerts import AlertSettings
from otp.settings.channels import ChannelSettings
from otp.settings.clients import ClientSettings
from otp.settings.delivery import DeliverySettings
from otp.settings.docs import DocsSettings
from otp.settings.guard import GuardSettings
from otp.settings.money import MoneySettings
from otp.settings.proofs import ProofSettings
from otp.settings.section import ENV_FILE
from otp.settings.setting_names import SettingNames
from otp.settings.telemetry import TelemetrySettings
from otp.settings.verifying import VerifyingSettings

CONCURRENCY = 2500  # sends in flight at Infobip in one worker, and as many verifies besides; 40 KB each

_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
_CASES: dict[str | None, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower}
_ALPHABETS = {"NUMERIC": "[0-9]", "ALPHA": "[A-Za-z]", "HEX": "[0-9A-Fa-f]", "ALPHANUMERIC": "[A-Za-z0-9]"}


class SettingsError(ValueError):
    """Settings are missing or bad; the message names every one, and `reasons` has a line for each.

    The message has `remarks`, too: a setting may be missing because its name is misspelt.
    """

    def __init__(self, reasons: list[str], remarks: list[str]) -> None:
        lines = [f"  {line}" for line in (*reasons, *remarks)]
        super().__init__("\n".join(["The settings are not right:", *lines, "See .env.example for their meaning."]))
        self.reasons = reasons


class Settings(
    TelemetrySettings,
    VerifyingSettings,
    ProofSettings,
    AlertSettings,
    MoneySettings,
    ClientSettings,
    GuardSettings,
    DocsSettings,
    DeliverySettings,
    ChannelSettings,
    AccountSettings,
):
    """Every setting of the service; `.env.example` has a line of meaning for each. Durations are in seconds."""

    infobip_2fa_app_id: Identifier
    infobip_2fa_msg_id: Identifier

    redis_url: Secret
    key_prefix: KeyPrefix = PREFIX

    send_otp_limit: Limit = limits.parse("5 per 15 minutes")
    verify_otp_limit: Limit = limits.parse("10 per 5 minutes")

    default_region: Region | None = None
    allowed_countries: Annotated[frozenset[Region], NoDecode, ByCommas] = frozenset()
    refused_number_types: Annotated[frozenset[NumberType], NoDecode, ByCommas] = frozenset()
    voice_refused_number_types: Annotated[frozenset[NumberType], NoDecode, ByCommas] = frozenset()
    trusted_proxies: int = Field(0, ge=0, le=10)

    bind: ListenAddress = "0.0.0.0"
    port: int = Field(3000, ge=1, le=65535)
    web_concurrency: int = Field(2, ge=1, le=256)

    @property
    def pin_pattern(self) -> re.Pattern[str]:
        """What a typed PIN must match as a whole."""
        return re.compile(f"{_ALPHABETS[self.pin_type]}{{{self.pin_length}}}")

    @property
    def pin_spelling(self) -> Callable[[str], str]:
        """Brings a typed PIN that matches into the one case that Infobip's PINs have, where that is known."""
        return str if self.pin_type == "NUMERIC" else _CASES.get(self.pin_case, str)

    @field_validator("redis_url")
    @classmethod
    def _names_a_redis(cls, url: SecretStr) -> SecretStr:
        return SecretStr(check(url.get_secret_value()))

    @property
    def templates(self) -> dict[str, str]:
        """The ids of the templates at Infobip, by the names of the channels that are available."""
        allowed = {name: CHANNELS[name] for name in self.allowed_channels or CHANNELS}
        given = {name: [getattr(self, setting) for setting in each.templates] for name, each in allowed.items()}
        return {name: next(filter(None, ids)) for name, ids in given.items() if any(ids)}


NAMES = SettingNames(
    (name.upper() for name in Settings.model_fields),
    (name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr),
)
_S = TypeVar("_S", bound=AccountSettings)


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` ones come before the environment.

    Raises:
        SettingsError: one message that names every bad or missing setting and never shows a value.
    """
    return load(Settings, **given)


def load(kind: type[_S], **given: Any) -> _S:
    """Read only the settings that `kind` has; see `load_settings`."""
    reasons: list[str] = []
    try:
        reasons += env_lines.refusals(_lines(), NAMES.is_read, os.environ)
        settings = kind(**given)
        if not reasons:
            return settings
    except ValidationError as e:
        reasons += [f"{str(error['loc'][0]).upper()}: {_reason(error)}" for error in e.errors(include_input=False)]
    except (OSError, UnicodeError) as e:
        reasons.append(f"{ENV_FILE}: cannot be read ({type(e).__name__})")
    raise SettingsError(reasons, misread_settings())


def misread_settings() -> list[str]:
    """A sentence for each thing in `.env` or the environment that is ignored, or read otherwise than it looks."""
    try:
        found = _lines()
    except (OSError, UnicodeError):  # which ends the start
        found = []
    where = {line.name: line.where for line in reversed(found) if line.name}
    inside = (f"{where[name]}: {said}" for name in reversed(where) if (said := NAMES.complaint(name, in_file=True)))
    around = NAMES.complaints({name: value for name, value in os.environ.items() if name not in where})
    read = [*env_lines.remarks(found, NAMES.is_read), *env_lines.kept_quotes(os.environ, NAMES.is_read)]
    return [*inside, *sorted(around), *read]


def _lines() -> list[env_lines.Line]:
    file = Path(ENV_FILE)
    return env_lines.lines(file.read_text(encoding="utf-8-sig")) if file.is_file() else []


def _reason(error: Any) -> str:
    if error["type"] == "missing":
        return "is missing"
    name = str(error["loc"][0])
    if error["type"] in _BOUNDS and is_duration(Settings.model_fields[name]):
        words, bound = _BOUNDS[error["type"]]
        return f"must be {words} {error['ctx'][bound]:g}s"
    return str(error["msg"]).removeprefix("Value error, ")
