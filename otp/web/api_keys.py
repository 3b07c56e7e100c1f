"""Reads the keys and limits of client apps from API_KEYS and CLIENT_LIMITS."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from otp.setting_types import Limit

CLIENT_NAME = "[a-z0-9-]{1,32}"
_PAIR = re.compile(f"({CLIENT_NAME}):([!-~]{{16,256}})")  # visible ASCII
_LIMITS = "must be like 'shop: send=100 per minute; verify=300 per minute; quota=5000 per day'"


class ClientLimits(BaseModel):
    """The limits of one client app: requests to send, requests to verify, and messages (SMS and e-mails each).

    None where the client has no limit of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    send: Limit | None = None
    verify: Limit | None = None
    quota: Limit | None = None


def named_keys(text: str) -> list[tuple[str, str]]:
    """The pairs of name and key in `shop:key,shop:other`. A client may have several keys.

    Raises:
        ValueError: the text has another form, or has a key twice. The sentence does not quote it.
    """
    pairs = [_PAIR.fullmatch(part) for part in _parts(text, "[,\n]")]
    if not all(pairs):
        raise ValueError(
            "must be pairs like shop:key, separated by commas or lines: names of up to 32 of a-z, 0-9 and -, "
            "keys of 16 to 256 visible characters"
        )
    found = [(pair[1], pair[2]) for pair in pairs if pair]
    if (text and not found) or len({key for _, key in found}) != len(found):
        raise ValueError("must name at least one key, and each key once")
    return found


def read_limits(text: str) -> dict[str, Any]:
    """The fields of ClientLimits, by the client's name.

    Raises:
        ValueError: the text has another form, or names a client or a limit twice.
    """
    limits = _unique([(name, _unique(_cut(rest, "=", ";"))) for name, rest in _cut(text, ":", "[,\n]")])
    if any(limit.keys() - ClientLimits.model_fields.keys() for limit in limits.values()):
        raise ValueError(_LIMITS)
    return limits


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
