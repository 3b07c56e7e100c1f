"""Settings: read once from the environment and `.env`, typed, frozen, secrets hidden."""

import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import limits
from limits import RateLimitItem
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from otp import setting_sources
from otp.alerts.webhook import check_url, signing_key
from otp.challenges import DEADLINE, TEST_SECRETS, VENDORS, check_test_url
from otp.channels import CHANNELS
from otp.fixed_codes import check_until, end_of, read_codes
from otp.http_client.authorities import Authorities
from otp.http_client.proxy import Proxy
from otp.infobip.base_url import is_in_the_clear, read_base_url
from otp.infobip.senders import Senders
from otp.languages import TemplateIds
from otp.proofs import read_old_keys, read_signing_key
from otp.redis.keys import PREFIX
from otp.redis.url import parse as parse_redis_url
from otp.send_limits.fraud_guard.scopes import Allowances
from otp.send_limits.prices import Amount, PriceLists, Prices, in_millionths, price_lists, read_prices
from otp.setting_names import SettingNames
from otp.setting_types import (
    ByCommas,
    Duration,
    Identifier,
    Limit,
    Limits,
    ListenAddress,
    NumberType,
    OptionalSecret,
    Region,
    Secret,
    Sum,
    checked_by,
    from_text,
    inline,
    is_duration,
    iso_date,
    matching,
    needs,
)
from otp.web.api_keys import ClientLimits, named_keys, read_limits
from otp.web.cors import Origin
from otp.web.placeholders import PlaceholderName

CONCURRENCY = 2500  # sends in flight at Infobip in one worker, and as many verifies; 40 KB each

_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
_CASES: dict[str | None, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower}
_ALPHABETS = {"NUMERIC": "[0-9]", "ALPHA": "[A-Za-z]", "HEX": "[0-9A-Fa-f]", "ALPHANUMERIC": "[A-Za-z0-9]"}
# Both cases of a letter count once: Infobip does not document which it uses.
_CHARACTERS = {"NUMERIC": 10, "HEX": 16, "ALPHA": 26, "ALPHANUMERIC": 36}
_WARNINGS = {
    "keys": "API_KEYS is not set: whoever reaches this service may have it send SMS.",
    "cors": "CORS_ORIGINS is set without API_KEYS and CHALLENGE: whoever reaches this service may have it send "
    "SMS, not only the pages there.",
    "dummy": "CHALLENGE_SECRET is one that its vendor publishes for tests, or CHALLENGE_URL is set: programs may pass.",
    "countries": "ALLOWED_COUNTRIES is not set: SMS go to every country, also to those where they cost most.",
    "budgets": "DAILY_BUDGET and MONTHLY_BUDGET are not set: only TOTAL_SEND_LIMIT bounds what messages cost.",
    "off": "FRAUD_GUARD is off: SMS pumping is neither refused nor noticed.",
    "monitor": "FRAUD_GUARD is monitor: SMS pumping is noticed, and not refused.",
    "pins": "PIN_LENGTH and PIN_TYPE make {pins:,} PINs: fewer than six digits do (20 bits).",
    "life": "PIN_TIME_TO_LIVE is over 10m: a PIN should expire soon after its use.",
    "guesses": "PIN_ATTEMPTS is over 10: a PIN should not be found by guessing.",
    "calls": "VOICE_PRICES is not set: a call may cost many times what an SMS does, and is counted like one. "
    "ALLOWED_CHANNELS=sms forbids calls.",
    "case": "PIN_CASE is not set: a letter that is typed in the other case may cost a guess.",
    "tests": "TEST_NUMBERS has {tests} with fixed codes, until the end of {until} (UTC): whoever knows one is let in.",
    "over": "TEST_NUMBERS_UNTIL is over: what TEST_NUMBERS lists are numbers like any other.",
}

_UNSET = SecretStr("")
_DOMAIN = r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_Host = Annotated[str, AfterValidator(str.lower), matching(_DOMAIN, "must be the host of a page, like example.com")]
_PAGE_HOST = "must be hosts of pages like example.com, without scheme and port, separated by commas"
_PageHost = Annotated[str, AfterValidator(str.lower), matching("[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", _PAGE_HOST)]
_Vendor = Annotated[str, matching("|".join(VENDORS), f"must be one of {', '.join(VENDORS)}")]
_HASH = 'must be the 11 characters that stand for an app, see "The PIN fills itself in" in the documentation'
_AppHash = Annotated[str, matching("[A-Za-z0-9+/]{11}", _HASH)]
_VISIBLE = "must be visible ASCII characters, without blanks or line breaks"
_ApiKey = Annotated[Secret, matching("[!-~]+", _VISIBLE)]  # in a header
_REPORTS = "must be 16 to 256 letters, digits, dots, dashes, underscores or tildes"
_ReportsSecret = Annotated[OptionalSecret, matching("[A-Za-z0-9._~-]{16,256}", _REPORTS)]  # in a path
_KEY_PREFIX = "must be 1 to 64 letters, digits, or any of : . _ / -, like otp:"
# It means the same in a key, in a pattern of keys, and in a rule of an ACL.
_KeyPrefix = Annotated[str, matching("[A-Za-z0-9:._/-]{1,64}", _KEY_PREFIX)]
_SALT = "must have at least 16 characters: whoever guesses it can recover the numbers"
_Salt = Annotated[OptionalSecret, matching("(?s:.{16,})", _SALT)]
_TestNumbers = Annotated[OptionalSecret, BeforeValidator(inline), checked_by(read_codes)]
_Channel = Annotated[str, matching("|".join(CHANNELS), f"must be of {', '.join(CHANNELS)}, separated by commas")]
_Prices = Annotated[Prices | None, from_text(read_prices)]
_Budget = Annotated[Amount, needs("sms_prices")]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Ratio = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class SettingsError(ValueError):
    """Settings are missing or bad. The message names all of them, and `reasons` has a line for each.

    `remarks` are in the message, too: a setting may be missing because its name is misspelt.
    """

    def __init__(self, reasons: list[str], remarks: list[str]) -> None:
        lines = [f"  {line}" for line in (*reasons, *remarks)]
        explained = '"Settings" in the documentation explains them.'
        super().__init__("\n".join(["The settings are not right:", *lines, explained]))
        self.reasons = reasons


class AccountSettings(BaseModel):
    """The settings that `flask infobip setup` needs, before there is an application or a template."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    infobip_allow_http: bool = False
    infobip_base_url: Annotated[str, AfterValidator(read_base_url)]
    infobip_api_key: _ApiKey
    infobip_timeout: Duration = Field(10.0, le=60)
    infobip_proxy: Annotated[OptionalSecret, checked_by(Proxy)] = _UNSET
    infobip_ca: Annotated[Authorities | None, from_text(Authorities)] = None

    infobip_2fa_app_id: Identifier | None = None
    infobip_2fa_msg_id: Identifier | None = None
    infobip_2fa_voice_msg_id: Identifier | None = None
    infobip_2fa_email_msg_id: Identifier | None = None
    infobip_templates: TemplateIds = Field(default_factory=dict)  # of other languages
    webotp_domain: _Host | None = None
    android_app_hash: _AppHash | None = None

    delivery_reports_secret: _ReportsSecret = _UNSET

    pin_time_to_live: Duration = Field(10 * 60.0, ge=1)
    pin_length: int = Field(6, ge=1, le=16)
    pin_type: Literal["NUMERIC", "ALPHA", "HEX", "ALPHANUMERIC"] = "NUMERIC"
    pin_case: Literal["upper", "lower", "as-typed"] | None = None
    pin_attempts: int = Field(5, ge=1, le=100)
    resend_cooldown: Duration = Field(30.0, validate_default=True)
    resend_backoff: Annotated[tuple[Duration, ...], ByCommas] = ()

    phone_send_limit: Limits = tuple(limits.parse_many("3 per hour, 5 per day"))
    phone_send_share: Decimal = Field(Decimal("0.4"), gt=0, le=1)
    phone_failure_limit: Limit = limits.parse("10 per day")
    total_send_limit: Limit = limits.parse("10000 per day")
    total_email_limit: Limit = limits.parse("10000 per day")

    @field_validator("infobip_base_url")
    @classmethod
    def _https_unless_allowed(cls, url: str, info: ValidationInfo) -> str:
        if is_in_the_clear(url) and not info.data.get("infobip_allow_http"):
            raise ValueError("must be https; INFOBIP_ALLOW_HTTP=true would send the API key in the clear")
        return url

    @field_validator("infobip_proxy")
    @classmethod
    def _cannot_read_the_key(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        is_http = info.data.get("infobip_base_url", "").startswith("http:")
        if url and is_http and not info.data.get("infobip_allow_http"):
            raise ValueError("needs an INFOBIP_BASE_URL with https: the proxy could read the API key")
        return url

    @field_validator("android_app_hash")
    @classmethod
    def _is_the_only_last_line(cls, app: str | None, info: ValidationInfo) -> str | None:
        if app is not None and info.data.get("webotp_domain"):
            raise ValueError("cannot be set together with WEBOTP_DOMAIN: both need the last line")
        return app

    @field_validator("resend_cooldown", "resend_backoff")
    @classmethod
    def _longer_than_the_call(cls, given: Any, info: ValidationInfo) -> Any:
        # Otherwise a second send could start while the first is in progress, and save its PIN under the other's.
        cooldowns = given if isinstance(given, tuple) else (given,)
        if cooldowns and min(cooldowns) <= info.data.get("infobip_timeout", 0):
            raise ValueError("must be longer than INFOBIP_TIMEOUT")
        return given

    @property
    def cooldowns(self) -> tuple[float, ...]:
        """Seconds until the next message: after the first message with a PIN, after the second, and so on."""
        return self.resend_backoff or tuple(self.resend_cooldown * times for times in (1, 2, 4))


class Settings(AccountSettings):
    """Every setting of the service; `.env.example` explains each. Durations are in seconds."""

    infobip_2fa_app_id: Identifier
    infobip_2fa_msg_id: Identifier

    redis_url: Annotated[Secret, checked_by(parse_redis_url)]
    key_prefix: _KeyPrefix = PREFIX

    allowed_channels: Annotated[frozenset[_Channel], ByCommas] = frozenset()  # empty: each that has a template
    allowed_placeholders: Annotated[frozenset[PlaceholderName], ByCommas] = frozenset()
    senders: Senders = Field(default_factory=dict)  # of SMS, by region; empty: that of the template
    send_again: Literal["new", "same"] = "new"
    require_verification_id: bool = False
    uniform_verify_time: bool = False

    track_delivery: Annotated[bool, needs("delivery_reports_secret", ", which authenticates Infobip's reports")] = False

    default_region: Region | None = None
    allowed_countries: Annotated[frozenset[Region], ByCommas] = frozenset()  # empty: all
    refused_number_types: Annotated[frozenset[NumberType], ByCommas] = frozenset()
    voice_refused_number_types: Annotated[frozenset[NumberType], ByCommas] = frozenset()

    fraud_guard: Literal["block", "monitor", "off"] = "block"
    guard_grace: Annotated[Duration, Field(ge=60, le=30 * 60)] = 3 * 60.0
    guard_country_pending: _Count = 195
    guard_country_hour: _Count = 30
    guard_country_day: _Count = 30
    guard_country_least: _Count = 10
    guard_country_ratio: _Ratio = 1.0
    guard_country_follow: _Ratio = 4.0
    guard_prefix_hour: _Count = 10
    guard_prefix_ratio: _Ratio = 2.0
    guard_address_countries: _Count = 3
    guard_known: Annotated[Duration, Field(ge=60)] = 30 * 24 * 3600.0

    sms_segments: int = Field(1, ge=1, le=10)
    sms_prices: _Prices = None
    voice_prices: _Prices = None
    lookup_price: Annotated[Amount | None, needs("sms_prices")] = None
    number_lookup: Literal["off", "on"] = "off"
    daily_budget: _Budget = Decimal(0)  # in the currency of the prices; 0: no such limit
    monthly_budget: _Budget = Decimal(0)

    alert_webhook_secret: Annotated[OptionalSecret, checked_by(signing_key)] = _UNSET
    alert_webhook_url: Annotated[str | None, checked_by(check_url), needs("alert_webhook_secret")] = None

    test_numbers_until: Annotated[date | None, from_text(iso_date), AfterValidator(check_until)] = None
    test_numbers: Annotated[_TestNumbers, needs("test_numbers_until")] = _UNSET

    proof_signing_key: Annotated[Secret, checked_by(read_signing_key)] = _UNSET
    proof_old_keys: Annotated[Secret, checked_by(read_old_keys)] = _UNSET
    proof_issuer: str = Field("infobip-otp", min_length=1)
    proof_audience: str = Field("backend", min_length=1)

    api_keys: Annotated[Secret, checked_by(named_keys)] = _UNSET
    client_limits: Annotated[dict[str, ClientLimits], from_text(read_limits)] = Field(default_factory=dict)
    cors_origins: Annotated[frozenset[Origin], ByCommas] = frozenset()
    challenge_secret: OptionalSecret = _UNSET
    challenge_hostnames: Annotated[frozenset[_PageHost], ByCommas] = frozenset()
    challenge_url: Annotated[str | None, checked_by(check_test_url)] = None
    challenge: Annotated[_Vendor | None, needs("challenge_secret"), needs("challenge_hostnames")] = None
    send_otp_limit: Limit = limits.parse("5 per 15 minutes")
    verify_otp_limit: Limit = limits.parse("10 per 5 minutes")
    trusted_proxies: Annotated[Sum, Field(ge=0, le=10)] = 0

    docs: Literal["on", "off"] = "on"  # the page; /openapi.json is always there
    bind: ListenAddress = "0.0.0.0"
    port: int = Field(3000, ge=1, le=65535)
    web_concurrency: int = Field(2, ge=1, le=256)

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], from_text(str.upper)] = "INFO"
    log_format: Literal["json", "console"] = "json"
    log_salt: _Salt = _UNSET
    metrics_port: int = Field(9090, ge=0, le=65535)

    @field_validator("voice_prices")
    @classmethod
    def _in_one_currency(cls, prices: Prices | None, info: ValidationInfo) -> Prices | None:
        sms = info.data.get("sms_prices")
        if prices and (sms is None or sms.currency != prices.currency):
            raise ValueError("needs SMS_PRICES in the same currency")
        return prices

    @field_validator("number_lookup")
    @classmethod
    def _has_a_price(cls, given: str, info: ValidationInfo) -> str:
        if given == "on" and info.data.get("sms_prices") and info.data.get("lookup_price", "bad") is None:
            raise ValueError("needs LOOKUP_PRICE if SMS_PRICES is set; 0 is allowed")
        return given

    @field_validator("client_limits")
    @classmethod
    def _of_known_clients(cls, limits: dict[str, ClientLimits], info: ValidationInfo) -> dict[str, ClientLimits]:
        keys: SecretStr | None = info.data.get("api_keys")
        if keys is not None and limits.keys() - dict(named_keys(keys.get_secret_value())):
            raise ValueError("must be of clients that API_KEYS names")
        return limits

    @field_validator("test_numbers")
    @classmethod
    def _have_codes_like_pins(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        kind, length = info.data.get("pin_type"), info.data.get("pin_length")
        if given and kind and length:
            codes = read_codes(given.get_secret_value()).values()
            if not all(map(_pin_pattern(kind, length).fullmatch, codes)):
                raise ValueError("has a code that is not of PIN_LENGTH and PIN_TYPE")
        return given

    @property
    def challenge_deadline(self) -> float:
        """How long the challenge of a send may take, in seconds."""
        return DEADLINE if self.challenge else 0

    @property
    def fixed_codes(self) -> dict[str, str]:
        """The fixed codes of test numbers, by canonical phone number."""
        return read_codes(self.test_numbers.get_secret_value() or "{}")

    @property
    def fixed_codes_end(self) -> float:
        """When test numbers become numbers like any other, in Unix seconds."""
        return end_of(self.test_numbers_until) if self.test_numbers_until else 0

    @property
    def named_keys(self) -> list[tuple[str, str]]:
        """The name and the key of each pair in API_KEYS."""
        return named_keys(self.api_keys.get_secret_value())

    @property
    def client_quotas(self) -> dict[str, RateLimitItem]:
        """The quotas of clients, by the client's name."""
        return {name: of.quota for name, of in self.client_limits.items() if of.quota}

    @property
    def allowances(self) -> Allowances:
        """How many unverified sends the fraud guard allows."""
        return Allowances(*(getattr(self, f"guard_{name}") for name in Allowances._fields))

    @property
    def prices(self) -> PriceLists:
        """The prices of the channels that reach phones."""
        lookup = self.lookup_price if self.number_lookup == "on" else None
        return price_lists(self.sms_prices, self.sms_segments, self.voice_prices, in_millionths(lookup or Decimal(0)))

    @property
    def budgets(self) -> tuple[int, int]:
        """The budgets of a day and of a month, in millionths."""
        return in_millionths(self.daily_budget), in_millionths(self.monthly_budget)

    @property
    def pin_pattern(self) -> re.Pattern[str]:
        """Matches a typed PIN as a whole."""
        return _pin_pattern(self.pin_type, self.pin_length)

    @property
    def pin_spelling(self) -> Callable[[str], str]:
        """Changes a typed PIN to the case of Infobip's PINs, where that is known."""
        return str if self.pin_type == "NUMERIC" else _CASES.get(self.pin_case, str)

    @property
    def templates(self) -> dict[str, str]:
        """The id of the default template at Infobip, by the names of the channels that may be used."""
        allowed = {name: CHANNELS[name] for name in self.allowed_channels or CHANNELS}
        given = {name: [getattr(self, setting) for setting in each.templates] for name, each in allowed.items()}
        return {name: next(filter(None, ids)) for name, ids in given.items() if any(ids)}

    def for_log(self) -> dict[str, Any]:
        """The settings by their names in the environment; of a secret, only whether it is set.

        On the console, settings that nobody has set are left out.
        """
        names = self.model_fields_set if self.log_format == "console" else dict(self)
        return {name.upper(): _for_log(value) for name, value in self if name in names}

    def warnings(self) -> list[str]:
        """A sentence for each setting that is weaker than it should be.

        OWASP ASVS 5.0 asks for 20 bits, which six digits nearly have (6.5.4), and for ten minutes (6.5.5). Ten guesses
        find one PIN of six digits in 100,000.
        """
        tests = len(self.fixed_codes)
        words: dict[str, Any] = {"pins": self._possible_pins, "until": self.test_numbers_until}
        words["tests"] = f"{tests} number{'s' * (tests > 1)}"
        weak = self._open_ways() | self._weak_pins()
        return [sentence.format(**words) for name, sentence in _WARNINGS.items() if weak[name]]

    @property
    def _possible_pins(self) -> int:
        return int(_CHARACTERS[self.pin_type] ** self.pin_length)

    def _open_ways(self) -> dict[str, bool]:
        """Which warnings apply to senders, destinations and prices."""
        costs_money = any(CHANNELS[name].member == "phoneNumber" for name in self.templates)
        is_open = not self.named_keys and not self.challenge
        is_test = self.challenge_secret.get_secret_value() in TEST_SECRETS or bool(self.challenge_url)
        return {
            "keys": is_open and not self.cors_origins,
            "cors": is_open and bool(self.cors_origins),
            "dummy": bool(self.challenge) and is_test,
            "countries": costs_money and not self.allowed_countries,
            "budgets": costs_money and not any(self.budgets),
            "off": costs_money and self.fraud_guard == "off",
            "monitor": costs_money and self.fraud_guard == "monitor",
            "calls": "voice" in self.templates and not self.voice_prices,
        }

    def _weak_pins(self) -> dict[str, bool]:
        """Which warnings apply to the PINs."""
        are_over = self.fixed_codes_end <= time.time()
        return {
            "pins": self._possible_pins < 10**6,
            "life": self.pin_time_to_live > 10 * 60,
            "guesses": self.pin_attempts > 10,
            "case": self.pin_type != "NUMERIC" and self.pin_case is None,
            "tests": bool(self.fixed_codes) and not are_over,
            "over": bool(self.fixed_codes) and are_over,
        }


def _pin_pattern(kind: str, length: int) -> re.Pattern[str]:
    return re.compile(f"{_ALPHABETS[kind]}{{{length}}}")


def _for_log(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "set" if value else ""
    if isinstance(value, Prices):
        return f"{value.currency}, {len(value.by_region)} regions"
    if isinstance(value, frozenset | dict):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, str) and "://" in value:  # what is behind the host of a webhook may be its key
        return f"{urlsplit(value).scheme}://{urlsplit(value).netloc}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, int | float | str) else str(value or "")


_SECRETS = [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]
NAMES = SettingNames(map(str.upper, Settings.model_fields), map(str.upper, _SECRETS))
_S = TypeVar("_S", bound=AccountSettings)


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `environ` and, where it does not set them, from `.env` in the current directory.

    Raises:
        SettingsError: one message that names every bad or missing setting and never shows a value.
    """
    return load(Settings, environ)


def load(kind: type[_S], environ: Mapping[str, str] = os.environ) -> _S:
    """Read the settings of this class; see `load_settings`."""
    reasons: list[str] = []
    try:
        lines = setting_sources.read_lines()
        reasons += setting_sources.refusals(lines, NAMES.is_read, environ)
        settings = kind.model_validate(setting_sources.values(lines, environ, _SECRETS))
        if not reasons:
            return settings
    except ValidationError as e:
        errors = e.errors(include_input=False)
        reasons += dict.fromkeys(f"{str(error['loc'][0]).upper()}: {_reason(error)}" for error in errors)
    except (OSError, UnicodeError) as e:
        reasons.append(f"{setting_sources.ENV_FILE}: cannot be read ({type(e).__name__})")
    raise SettingsError(reasons, misread_settings(environ))


def misread_settings(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each thing in `.env` or `environ` that is ignored, or that other readers read differently."""
    try:
        found = setting_sources.read_lines()
    except (OSError, UnicodeError):  # which ends the start
        found = []
    where = {line.name: line.where for line in reversed(found) if line.name}
    inside = (f"{where[name]}: {said}" for name in reversed(where) if (said := NAMES.complaint(name, in_file=True)))
    around = NAMES.complaints({name: value for name, value in environ.items() if name not in where})
    unlike = setting_sources.remarks(found, NAMES.is_read)
    return [*inside, *sorted(around), *unlike, *setting_sources.kept_quotes(environ, NAMES.is_read)]


def _reason(error: Any) -> str:
    if error["type"] == "missing":
        return "is missing"
    name = str(error["loc"][0])
    if error["type"] in _BOUNDS and is_duration(Settings.model_fields[name]):
        words, bound = _BOUNDS[error["type"]]
        return f"must be {words} {error['ctx'][bound]:g}s"
    return str(error["msg"]).removeprefix("Value error, ")
