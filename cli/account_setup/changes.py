"""One change that `flask infobip setup` makes at Infobip, and how it is shown."""

import json
import re
from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from otp.durations import Rate, seconds
from otp.infobip.account import Application, Part, Template
from otp.infobip.account_errors import AccountError

_P = TypeVar("_P", bound=Part)
_SECRET = re.compile("(?<=/delivery-reports/).+")


class Change(NamedTuple, Generic[_P]):
    """A part of the account, like a template: what Infobip has `now` (None if it has none), and what is `wanted`."""

    noun: str
    now: _P | None
    wanted: _P

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """The fields that differ: the current and the wanted value of each."""
        now = _flat(self.now) if self.now else {}
        wanted = _flat(self.wanted)
        return {
            field: (now.get(field), value)
            for field, value in wanted.items()
            if _normalize(field, now.get(field)) != _normalize(field, value)
        }

    def lines(self) -> Iterator[str]:
        """What the operator sees: everything that will be sent."""
        fields = self.fields
        if not fields:
            yield f"The {self.noun} is as it should be."
            return
        yield f"{'Change' if self.now else 'Create'} the {self.noun}:"
        for field, value in _flat(self.wanted).items():
            before = f"{_printable(_mask_secrets(field, fields[field][0]))} -> " if self.now and field in fields else ""
            yield f"  {field:<30} {before}{_printable(_mask_secrets(field, value))}"


def id_of(part: Application | Template | None) -> str:
    """Its id at Infobip.

    Raises:
        AccountError: Infobip's response has no id that can be used.
    """
    its_id = part.application_id if isinstance(part, Application) else part and part.message_id
    if not its_id:
        raise AccountError
    return its_id


def _flat(part: Part) -> dict[str, Any]:
    payload = part.payload()
    configuration = payload.pop("configuration", {})
    return {**payload, **configuration}


def _normalize(field: str, value: Any) -> Any:
    """`60m` is `1h`: spellings of the same value are equal."""
    try:
        if field == "pinTimeToLive":
            return seconds(value or "")
        return Rate.parse(value) if field.endswith("Limit") and isinstance(value, str) else value
    except ValueError:
        return value


def _mask_secrets(field: str, value: Any) -> Any:
    """`value` without the secrets of delivery reports: the headers, and what a URL has after the service's path."""
    if isinstance(value, dict):
        return {name: "***" if field == "headers" else _mask_secrets(name, each) for name, each in value.items()}
    return _SECRET.sub("***", value) if isinstance(value, str) else value


def _printable(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
