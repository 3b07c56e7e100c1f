"""Settings: read once from the environment and `.env`, typed, frozen, secrets hidden."""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import limits
from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from connection import check
from setting_types import Duration, Identifier, Limit, Region, Secret

ENV_FILE = ".env"
CONCURRENCY = 1000  # requests in flight in one worker, each of which may wait for Infobip

_ALPHABETS = {"NUMERIC": "[0-9]", "ALPHA": "[A-Za-z]", "HEX": "[0-9A-Fa-f]", "ALPHANUMERIC": "[A-Za-z0-9]"}


class SettingsError(ValueError):
    """Settings are missing or bad; the message names every one, and `reasons` has a line for each."""

    def __init__(self, reasons: list[str]) -> None:
        lines = [f"  {reason}" for reason in reasons]
        super().__init__("\n".join(["The settings are not right:", *lines, "See .env.example for their meaning."]))
        self.reasons = reasons


class _SecretFiles(PydanticBaseSettingsSource):
    """`X_FILE` names a file that holds the secret `X`: how Docker and Kubernetes hand secrets over."""

    def __call__(self) -> dict[str, Any]:
        given = {**dotenv_values(ENV_FILE), **os.environ}
        secrets = (name for name, field in self.settings_cls.model_fields.items() if field.annotation is SecretStr)
        files = {name: given.get(f"{name.upper()}_FILE") for name in secrets}
        return {name: Path(file) for name, file in files.items() if file}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError("asked for all at once")


class AccountSettings(BaseSettings):
    """The settings that the account at Infobip depends on; its application and template may not be known yet."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        arbitrary_types_allowed=True,
    )

    infobip_allow_http: bool = False
    infobip_base_url: str
    infobip_api_key: Secret
    infobip_2fa_app_id: Identifier | None = None
    infobip_2fa_msg_id: Identifier | None = None
    infobip_timeout: Duration = Field(10.0, le=60)

    pin_time_to_live: Duration = Field(10 * 60.0, ge=1)
    pin_length: int = Field(6, ge=1, le=16)
    pin_type: Literal["NUMERIC", "ALPHA", "HEX", "ALPHANUMERIC"] = "NUMERIC"
    pin_attempts: int = Field(5, ge=1, le=100)
    resend_cooldown: Duration = Field(30.0, validate_default=True)

    phone_send_limit: Limit = limits.parse("5 per day")
    total_send_limit: Limit = limits.parse("10000 per day")

    @field_validator("infobip_base_url")
    @classmethod
    def _https_unless_allowed(cls, url: str, info: ValidationInfo) -> str:
        url = (url if "://" in url else f"https://{url}").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in url:
            raise ValueError("must be a host or a URL like https://xxxxx.api.infobip.com")
        if parts.scheme == "http" and not info.data.get("infobip_allow_http") and not _is_loopback(parts.hostname):
            raise ValueError("must be https; INFOBIP_ALLOW_HTTP=true would send the API key in the clear")
        return url

    @field_validator("resend_cooldown")
    @classmethod
    def _longer_than_the_call(cls, cooldown: float, info: ValidationInfo) -> float:
        # Else a second send could start while the first is still on its way, and save its PIN under the other's.
        if cooldown <= info.data.get("infobip_timeout", 0):
            raise ValueError("must be longer than INFOBIP_TIMEOUT")
        return cooldown

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """In code beats the environment, which beats `.env`, which beats `X_FILE`."""
        return init_settings, env_settings, dotenv_settings, _SecretFiles(settings_cls)


class Settings(AccountSettings):
    """Every setting of the service; `.env.example` has a line of meaning for each. Durations are in seconds."""

    infobip_2fa_app_id: Identifier
    infobip_2fa_msg_id: Identifier

    redis_url: Secret

    send_otp_limit: Limit = limits.parse("5 per 15 minutes")
    verify_otp_limit: Limit = limits.parse("10 per 5 minutes")

    default_region: Region | None = None
    allowed_countries: Annotated[frozenset[Region], NoDecode] = frozenset()
    trusted_proxies: int = Field(0, ge=0, le=10)

    port: int = Field(3000, ge=1, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    web_concurrency: int = Field(2, ge=1, le=256)

    @property
    def pin_pattern(self) -> re.Pattern[str]:
        """What a typed PIN must match as a whole."""
        return re.compile(f"{_ALPHABETS[self.pin_type]}{{{self.pin_length}}}")

    @field_validator("redis_url")
    @classmethod
    def _names_a_redis(cls, url: SecretStr) -> SecretStr:
        return SecretStr(check(url.get_secret_value()))

    @field_validator("allowed_countries", mode="before")
    @classmethod
    def _by_commas(cls, regions: Any) -> Any:
        return [r for r in regions.split(",") if r.strip()] if isinstance(regions, str) else regions

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: Any) -> Any:
        return str(level).upper()


_S = TypeVar("_S", bound=AccountSettings)


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` ones come before the environment.

    Raises:
        SettingsError: one message that names every bad or missing setting and never shows a value.
    """
    return load(Settings, **given)


def load(kind: type[_S], **given: Any) -> _S:
    """Read only the settings that `kind` has; see `load_settings`."""
    try:
        return kind(**given)
    except ValidationError as e:
        reasons = [f"{str(error['loc'][0]).upper()}: {_reason(error)}" for error in e.errors(include_input=False)]
    raise SettingsError(reasons)


def _reason(error: Any) -> str:
    return "is missing" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
