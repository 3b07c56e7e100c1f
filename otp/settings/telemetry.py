"""What the operator sees of the service while it runs."""

from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from otp.setting_types import OptionalSecret
from otp.settings.section import Section

SHORTEST_SALT = 16


class TelemetrySettings(Section):
    """How logs look, and where metrics are served. Without a salt, each start makes one of its own."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["json", "console"] = "json"
    log_salt: OptionalSecret = SecretStr("")
    metrics_port: int = Field(9090, ge=0, le=65535)

    @field_validator("log_salt")
    @classmethod
    def _hard_to_guess(cls, salt: SecretStr) -> SecretStr:
        if 0 < len(salt.get_secret_value()) < SHORTEST_SALT:
            raise ValueError(f"must have at least {SHORTEST_SALT} characters: who guesses it learns the numbers")
        return salt

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: Any) -> Any:
        return str(level).upper()
