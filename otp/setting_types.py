"""The types of settings: how a text becomes a value, or one sentence about what is wrong with it."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import limits
from limits import RateLimitItem
from phonenumbers import SUPPORTED_REGIONS, PhoneNumberType
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo
from pydantic.fields import FieldInfo

from otp.durations import seconds

_VALID_TYPES = set(PhoneNumberType.values()) - {PhoneNumberType.UNKNOWN}
_NUMBER_TYPES = [PhoneNumberType.to_string(kind) for kind in sorted(_VALID_TYPES)]


def from_text(read: Callable[[str], Any]) -> BeforeValidator:
    """Convert a text by `read`; leave any other value as it is."""
    return BeforeValidator(lambda given: read(given) if isinstance(given, str) else given)


def checked_by(check: Callable[[str], object]) -> AfterValidator:
    """Check a text, or the text of a secret, by `check`, which raises a ValueError; "" and None are not checked."""

    def validate(value: Any) -> Any:
        if text := value.get_secret_value() if isinstance(value, SecretStr) else value:
            check(text)
        return value

    return AfterValidator(validate)


def matching(pattern: str, sentence: str) -> AfterValidator:
    """Refuse a text or a secret that does not match `pattern` as a whole, with this sentence."""

    def check(text: str) -> None:
        if not re.fullmatch(pattern, text):
            raise ValueError(sentence)

    return checked_by(check)


def needs(other: str, why: str = "") -> AfterValidator:
    """Refuse a value where the setting `other` has none; `other` is a field above this one."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if value and not info.data.get(other, "bad"):
            raise ValueError(f"needs {other.upper()}{why}")
        return value

    return AfterValidator(check)


def _limits(text: str) -> tuple[RateLimitItem, ...]:
    with suppress(ValueError):
        several = limits.parse_many(text)
        if all(limit.amount > 0 for limit in several):
            return tuple(several)
    raise ValueError("must be limits like '3 per hour, 5 per day'")


def _limit(text: str) -> RateLimitItem:
    with suppress(ValueError):
        (limit,) = _limits(text)
        return limit
    raise ValueError("must be one limit like '5 per 15 minutes'")


def _sum(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,3}(\+[0-9]{1,3})*", text):
        return sum(map(int, text.split("+")))
    raise ValueError("must be a number, or a sum like 1+1")


def _listen_address(text: str) -> str:
    with suppress(ValueError):
        if "%" not in text:
            return str(ip_address(text))
    raise ValueError("must be an IP address of this machine, like 127.0.0.1; 0.0.0.0 is all of IPv4, :: of IPv6 too")


def read_region(code: str) -> str:
    """The ISO 3166 code in capitals.

    Raises:
        ValueError: libphonenumber does not know the region.
    """
    if (region := code.strip().upper()) not in SUPPORTED_REGIONS:
        raise ValueError(f"unknown region {region!r}; write ISO 3166 codes like US or DE")
    return region


def _number_type(name: str) -> str:
    if (kind := name.strip().upper()) not in _NUMBER_TYPES:
        raise ValueError(f"unknown number type {kind!r}; there are {', '.join(_NUMBER_TYPES)}")
    return kind


def iso_date(text: str) -> date:
    """The date in a text like 2027-02-01. Raises ValueError if it has another form."""
    with suppress(ValueError):
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    raise ValueError("must be a date like 2027-02-01")


def _secret(value: Any, info: ValidationInfo) -> Any:
    """The secret in a file, where a path is given."""
    if not isinstance(value, Path):
        return value
    if secret := _content(value).strip():
        return secret
    name = str(info.field_name).upper()
    raise ValueError(f"is not set, and the file that {name}_FILE names is empty")


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as e:
        raise ValueError("is a file that cannot be read") from e


def inline(given: Any) -> Any:
    """The content of a file of JSON, where its path is given: later changes of the file have no effect."""
    is_path = isinstance(given, str) and given.strip() and not given.strip().startswith("{")
    return _content(Path(given)) if is_path else given


def json_or_file(given: str, like: str, **options: Any) -> dict[str, Any]:
    """Read a JSON object, or the file of that path with one in it; `options` are those of `json.loads`.

    Raises:
        ValueError: it is neither; the sentence quotes the example `like`.
    """
    text = inline(given)
    with suppress(ValueError, RecursionError):
        if isinstance(members := json.loads(text, **options), dict):
            return members
    raise ValueError(f"must be JSON like {like}, or a file of it")


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words or not text:
        return words
    raise ValueError("lists nothing; leave it empty, or separate what it lists by commas")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, so that nothing sent to it leaves the machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_READ_DURATION = from_text(seconds)


def is_duration(field: FieldInfo) -> bool:
    """Whether the setting is a duration."""
    return _READ_DURATION in field.metadata


ByCommas = from_text(_words)  # for a collection
Duration = Annotated[float, _READ_DURATION]  # in seconds
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
Limit = Annotated[RateLimitItem, from_text(_limit)]
Sum = Annotated[int, from_text(_sum)]  # written as 2 or as 1+1
Limits = Annotated[tuple[RateLimitItem, ...], from_text(_limits)]  # all of them hold
NumberType = Annotated[str, AfterValidator(_number_type)]  # by libphonenumber's name
Region = Annotated[str, AfterValidator(read_region)]
OptionalSecret = Annotated[SecretStr, BeforeValidator(_secret)]  # "" for none
Secret = Annotated[OptionalSecret, Field(min_length=1)]
IDENTIFIER = "^[A-Za-z0-9_-]{1,64}$"  # it becomes a part of a path
Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
