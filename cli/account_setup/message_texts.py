"""Reads templates.toml: the text of the SMS, by language."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from cli.account_setup.autofill import PIN
from otp.languages import Locale

FILE = Path(__file__).parent / "templates.toml"


def _require_pin(text: str) -> str:
    if PIN not in text:
        raise ValueError(f"must have {PIN} in it")
    return text


class _Texts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sms: dict[Locale, Annotated[str, AfterValidator(_require_pin)]]


def read_message_texts(file: Path = FILE) -> dict[str, str]:
    """The texts by BCP 47 tag.

    Raises:
        ValueError: the file is wrong; the message is one sentence.
    """
    try:
        return _Texts.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).sms
    except ValidationError as e:
        error = e.errors()[0]
        where = ".".join(str(part) for part in error["loc"] if part != "[key]")
        raise ValueError(f"{file.name}: {where}: {error['msg'].removeprefix('Value error, ')}") from e
    except (OSError, ValueError) as e:
        raise ValueError(f"{file.name} cannot be read: {e}") from e
