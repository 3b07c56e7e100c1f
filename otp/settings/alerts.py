"""Who hears of what the operator should know."""

import base64
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo, field_validator

from otp.setting_types import OptionalSecret, is_loopback
from otp.settings.section import Section

PREFIX = "whsec_"
LEAST_BYTES = 24  # https://github.com/standard-webhooks/standard-webhooks, "Symmetric signatures"


class AlertSettings(Section):
    """Where alerts go, and the key that they are signed with; without a URL they are logged."""

    alert_webhook_secret: OptionalSecret = SecretStr("")
    alert_webhook_url: str | None = None

    @field_validator("alert_webhook_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        if text and not _is_strong(text):
            raise ValueError(f"must be {PREFIX} and then base64 of at least {LEAST_BYTES} random bytes")
        return secret

    @field_validator("alert_webhook_url")
    @classmethod
    def _safe_and_signed(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url and not _is_safe(url):
            raise ValueError("must be a URL that starts with https://")
        if url and info.data.get("alert_webhook_secret") == SecretStr(""):
            raise ValueError("needs ALERT_WEBHOOK_SECRET")
        return url


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    host, local = parts.hostname, parts.scheme == "http" and is_loopback(parts.hostname or "")
    return bool(host) and (parts.scheme == "https" or local) and "@" not in parts.netloc and not parts.fragment


def _is_strong(secret: str) -> bool:
    try:
        return secret.startswith(PREFIX) and len(signing_key(secret)) >= LEAST_BYTES
    except ValueError:
        return False


def signing_key(secret: str) -> bytes:
    """The bytes that `whsec_...` stands for.

    Raises:
        ValueError: it is no base64.
    """
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
