"""The settings in effect, as they may stand in a log."""

from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from config import Settings
from otp.send_limits.prices import Prices


def shown(settings: Settings) -> dict[str, Any]:
    """Every setting by its name in the environment; of a secret, only whether it is set.

    A person at a terminal sees those that somebody has set: the others are in `.env.example`.
    """
    names = settings.model_fields_set if settings.log_format == "console" else dict(settings)
    return {name.upper(): _shown(value) for name, value in settings if name in names}


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    if isinstance(value, Prices):
        return f"{value.currency}, {len(value.by_region)} regions"
    if isinstance(value, frozenset | dict):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, str) and "://" in value:  # what is behind the host of a webhook may be its key
        return f"{urlsplit(value).scheme}://{urlsplit(value).netloc}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, int | float | str) else str(value or "")
