"""Where settings come from: in code, the environment, `.env`, or a file that holds a secret."""

import os
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ENV_FILE = ".env"


class _SecretFiles(PydanticBaseSettingsSource):
    """`X_FILE` names a file that holds the secret `X`: how Docker and Kubernetes hand secrets over."""

    def __call__(self) -> dict[str, Any]:
        given = {**dotenv_values(ENV_FILE), **{name: value for name, value in os.environ.items() if value}}
        secrets = (name for name, field in self.settings_cls.model_fields.items() if field.annotation is SecretStr)
        files = {name: given.get(f"{name.upper()}_FILE") for name in secrets}
        return {name: Path(file) for name, file in files.items() if file}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError("asked for all at once")


class Section(BaseSettings):
    """Settings that belong together. Each is read from the variable of its name in capitals."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        arbitrary_types_allowed=True,
    )

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
