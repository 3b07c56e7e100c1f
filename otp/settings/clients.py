"""Who may call: client apps with their keys and limits, and the web pages of other origins."""

import re
from typing import Annotated, Any

from limits import RateLimitItem
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from otp.setting_types import Limit, Secret
from otp.settings.section import Section

CLIENT_NAME = "[a-z0-9-]{1,32}"
_PAIR = re.compile(f"({CLIENT_NAME}):([!-~]{{16,256}})")  # visible ASCII
# As a browser writes it: without a path, and without the port that its scheme has anyway. Pages that come with an app
# have a scheme of its own (capacitor://localhost); pages of the others here have no origin, or none that may ask.
_ORIGIN = re.compile(
    "(?!http:.*:80$)(?!https:.*:443$)(?!(ftps?|file|data|blob|about|javascript|wss?):)"
    "[a-z][a-z0-9+.-]{0,31}://[a-z0-9-]+([.][a-z0-9-]+)*(:[1-9][0-9]{0,4})?"
)
_LIMITS = "must be like 'shop: send=100 per minute; verify=300 per minute; quota=5000 per day'"


class ClientLimits(BaseModel):
    """What one client app may: requests to send and to verify, and SMS in all and as many e-mails (`quota`).

    None: no limit of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    send: Limit | None = None
    verify: Limit | None = None
    quota: Limit | None = None


class ClientSettings(Section):
    """The settings of those who call the service."""

    api_keys: Secret = Field(SecretStr(""), validate_default=False)
    client_limits: Annotated[dict[str, ClientLimits], NoDecode] = Field(default_factory=dict)
    cors_origins: Annotated[frozenset[str], NoDecode] = frozenset()

    def named_keys(self) -> list[tuple[str, str]]:
        """The name and the key of each pair; a client may have several keys."""
        return _pairs(self.api_keys.get_secret_value())

    @property
    def client_quotas(self) -> dict[str, RateLimitItem]:
        """Those of the clients that have one, by name."""
        return {name: of.quota for name, of in self.client_limits.items() if of.quota}

    @field_validator("api_keys")
    @classmethod
    def _names_and_keys(cls, pairs: SecretStr) -> SecretStr:
        keys = [key for _, key in _pairs(pairs.get_secret_value())]
        if not keys or len(set(keys)) != len(keys):
            raise ValueError("must name at least one key, and each key once")
        return pairs

    @field_validator("client_limits", mode="before")
    @classmethod
    def _by_client(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        limits = _unique([(name, _unique(_cut(rest, "=", ";"))) for name, rest in _cut(text, ":", "[,\n]")])
        if any(limit.keys() - ClientLimits.model_fields.keys() for limit in limits.values()):
            raise ValueError(_LIMITS)
        return limits

    @field_validator("client_limits")
    @classmethod
    def _of_known_clients(cls, limits: dict[str, ClientLimits], info: ValidationInfo) -> dict[str, ClientLimits]:
        keys = info.data.get("api_keys")
        if keys is not None and limits.keys() - {name for name, _ in _pairs(keys.get_secret_value())}:
            raise ValueError("must be of clients that API_KEYS names")
        return limits

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        origins = _parts(text.lower(), ",")
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError(
                "must be origins like https://app.example.com or capacitor://localhost, without a path, "
                "separated by commas"
            )
        return origins


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = [_PAIR.fullmatch(part) for part in _parts(text, "[,\n]")]
    if not all(pairs):
        raise ValueError(
            "must be pairs like shop:key, separated by commas or lines: names of up to 32 of a-z, 0-9 and -, "
            "keys of 16 to 256 visible characters"
        )
    return [(pair[1], pair[2]) for pair in pairs if pair]


def _parts(text: str, separators: str) -> list[str]:
    return [part.strip() for part in re.split(separators, text) if part.strip()]


def _cut(text: str, middle: str, separators: str) -> list[tuple[str, str]]:
    cut = [part.partition(middle) for part in _parts(text, separators)]
    return [(name.strip(), rest.strip()) for name, _, rest in cut]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if not members or len(members) != len(pairs) or not all(members.values()):
        raise ValueError(_LIMITS)
    return members
