"""The types of the settings: how a text becomes a value, or one sentence about what is wrong with it."""

import json
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import limits
from limits import RateLimitItem
from phonenumbers import SUPPORTED_REGIONS, PhoneNumberType
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from otp.durations import seconds
from otp.redis.keys import check_prefix

_VALID_TYPES = set(PhoneNumberType.values()) - {PhoneNumberType.UNKNOWN}
_NUMBER_TYPES = [PhoneNumberType.to_string(kind) for kind in sorted(_VALID_TYPES)]


def _duration(text: Any) -> Any:
    return seconds(text) if isinstance(text, str) else text


def _limits(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    with suppress(ValueError):
        several = limits.parse_many(text)
        if all(limit.amount > 0 for limit in several):
            return several
    raise ValueError("must be limits like '3 per hour, 5 per day'")


def _limit(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    with suppress(ValueError):
        (limit,) = _limits(text)
        return limit
    raise ValueError("must be one limit like '5 per 15 minutes'")


def _listen_address(text: Any) -> str:
    with suppress(ValueError):
        if "%" not in str(text):
            return str(ip_address(text))
    raise ValueError("must be an IP address of this machine, like 127.0.0.1; 0.0.0.0 is all of IPv4, :: of IPv6 too")


def _region(code: Any) -> str:
    if (region := str(code).strip().upper()) not in SUPPORTED_REGIONS:
        raise ValueError(f"knows no region {region!r}; write ISO 3166 codes like US or DE")
    return region


def _number_type(name: Any) -> str:
    if (kind := str(name).strip().upper()) not in _NUMBER_TYPES:
        raise ValueError(f"knows no number type {kind!r}; there are {', '.join(_NUMBER_TYPES)}")
    return kind


def _secret(value: Any) -> Any:
    """A secret may come as the file that holds it."""
    return _content(value).strip() if isinstance(value, Path) else value


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as e:
        raise ValueError("is a file that cannot be read") from e


def json_or_file(given: str, like: str, **options: Any) -> dict[str, Any]:
    """Read a JSON object, or the file of that path with one in it; `options` are those of `json.loads`.

    Raises:
        ValueError: there is none; the sentence shows what it is to be `like`.
    """
    text = given.strip() if given.strip().startswith("{") else _content(Path(given))
    try:
        if isinstance(members := json.loads(text, **options), dict):
            return members
    except (ValueError, RecursionError) as e:
        raise ValueError(f"must be JSON like {like}, or a file of it") from e
    raise ValueError(f"must be JSON like {like}, or a file of it")


def _words(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words or not text:
        return words
    raise ValueError("lists nothing; leave it empty, or separate what it lists by commas")


_READ_DURATION = BeforeValidator(_duration)


def is_duration(field: FieldInfo) -> bool:
    """Whether what the setting takes is a duration."""
    return _READ_DURATION in field.metadata


ByCommas = BeforeValidator(_words)  # for a collection; beside NoDecode, for it is no JSON
Duration = Annotated[float, _READ_DURATION]
ListenAddress = Annotated[str, BeforeValidator(_listen_address)]
Limit = Annotated[RateLimitItem, BeforeValidator(_limit)]
Limits = Annotated[tuple[RateLimitItem, ...], NoDecode, BeforeValidator(_limits)]  # all of them hold
NumberType = Annotated[str, BeforeValidator(_number_type)]  # by libphonenumber's name
KeyPrefix = Annotated[str, AfterValidator(check_prefix)]
Region = Annotated[str, BeforeValidator(_region)]
OptionalSecret = Annotated[SecretStr, BeforeValidator(_secret)]  # "" for none
Secret = Annotated[OptionalSecret, Field(min_length=1)]
IDENTIFIER = "^[A-Za-z0-9_-]{1,64}$"  # it becomes a part of a path
Identifier = Annotated[str, Field(pattern=IDENTIFIER)]


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, and nothing said to it goes over a wire."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
