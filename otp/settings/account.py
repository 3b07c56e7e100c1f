"""What the account at Infobip and the service must agree on."""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

import limits
from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from otp.infobip.authorities import Authorities
from otp.infobip.proxy import Proxy
from otp.setting_types import ByCommas, Duration, Identifier, Limit, Limits, OptionalSecret, Secret, is_loopback
from otp.settings.templates import TemplateSettings

# No empty port, and nothing empty in its path (RFC 3986, 3.3).
_BASE = re.compile(r"https?://[^\s\\/?#@]*[^\s\\/?#@:](/[A-Za-z0-9._~!$&'()*+,;=:%-]+)*")
_HOST = re.compile("[a-z0-9_-]{1,63}([.][a-z0-9_-]{1,63})*[.]?|[0-9a-f:.]+")


def _names_a_host(url: SplitResult) -> bool:
    """Whether a connection to it can be tried. A name that cannot be looked up would be an error at each send."""
    try:
        return url.port != 0 and bool(_HOST.fullmatch((url.hostname or "").encode("idna").decode()))
    except ValueError:  # as UnicodeError is, too
        return False


def _authorities(given: Any) -> Any:
    return Authorities(given) if isinstance(given, str) else given


class AccountSettings(TemplateSettings):
    """The settings that the account at Infobip depends on; its application and template may not be known yet."""

    infobip_allow_http: bool = False
    infobip_base_url: str
    infobip_api_key: Secret
    infobip_2fa_app_id: Identifier | None = None
    infobip_timeout: Duration = Field(10.0, le=60)
    infobip_proxy: OptionalSecret = SecretStr("")
    infobip_ca: Annotated[Authorities | None, NoDecode, BeforeValidator(_authorities)] = None

    pin_time_to_live: Duration = Field(10 * 60.0, ge=1)
    pin_length: int = Field(6, ge=1, le=16)
    pin_type: Literal["NUMERIC", "ALPHA", "HEX", "ALPHANUMERIC"] = "NUMERIC"
    pin_case: Literal["upper", "lower", "as-typed"] | None = None
    pin_attempts: int = Field(5, ge=1, le=100)
    resend_cooldown: Duration = Field(30.0, validate_default=True)
    resend_backoff: Annotated[tuple[Duration, ...], NoDecode, ByCommas] = ()

    phone_send_limit: Limits = tuple(limits.parse_many("3 per hour, 5 per day"))
    phone_send_share: Decimal = Field(Decimal("0.4"), gt=0, le=1)
    phone_failure_limit: Limit = limits.parse("10 per day")
    total_send_limit: Limit = limits.parse("10000 per day")
    total_email_limit: Limit = limits.parse("10000 per day")

    @field_validator("infobip_api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch("[!-~]+", key.get_secret_value()):
            raise ValueError("must be visible ASCII characters, without blanks or line breaks")
        return key

    @field_validator("infobip_base_url")
    @classmethod
    def _https_unless_allowed(cls, url: str, info: ValidationInfo) -> str:
        url = (url if "://" in url else f"https://{url}").rstrip("/")
        parts = urlsplit(url)
        if not _BASE.fullmatch(url) or not _names_a_host(parts):
            raise ValueError("must be a host or a URL like https://xxxxx.api.infobip.com")
        is_here = is_loopback(parts.hostname or "")
        if parts.scheme == "http" and not info.data.get("infobip_allow_http") and not is_here:
            raise ValueError("must be https; INFOBIP_ALLOW_HTTP=true would send the API key in the clear")
        return url

    @field_validator("infobip_proxy")
    @classmethod
    def _is_a_proxy(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        if not url.get_secret_value():
            return url
        Proxy(url.get_secret_value())
        if info.data.get("infobip_base_url", "").startswith("http:") and not info.data.get("infobip_allow_http"):
            raise ValueError("needs an INFOBIP_BASE_URL with https: the proxy could read the API key")
        return url

    @field_validator("resend_cooldown", "resend_backoff")
    @classmethod
    def _longer_than_the_call(cls, given: Any, info: ValidationInfo) -> Any:
        # Else a second send could start while the first is still on its way, and save its PIN under the other's.
        cooldowns = given if isinstance(given, tuple) else (given,)
        if cooldowns and min(cooldowns) <= info.data.get("infobip_timeout", 0):
            raise ValueError("must be longer than INFOBIP_TIMEOUT")
        return given

    @property
    def cooldowns(self) -> tuple[float, ...]:
        """The seconds until the next message, after the first one with a PIN, the second, and so on."""
        return self.resend_backoff or tuple(self.resend_cooldown * times for times in (1, 2, 4))
