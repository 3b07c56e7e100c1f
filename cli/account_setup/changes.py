"""One thing that `flask infobip setup` makes or changes at Infobip, and how it is shown."""

import json
from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from otp.durations import Rate, seconds
from otp.infobip.account import Application, Template
from otp.infobip.account_errors import AccountError

_P = TypeVar("_P", bound=Application | Template)


class Step(NamedTuple, Generic[_P]):
    """One thing that Infobip keeps: what it is now (None: there is none), and what it is to be."""

    noun: str
    now: _P | None
    wanted: _P

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """What differs, by field: what is, and what is to be."""
        now = _flat(self.now) if self.now else {}
        wanted = _flat(self.wanted)
        return {
            field: (now.get(field), value)
            for field, value in wanted.items()
            if _meaning(field, now.get(field)) != _meaning(field, value)
        }

    def lines(self) -> Iterator[str]:
        """For the operator: everything that will be sent."""
        changes = self.changes
        if not changes:
            yield f"The {self.noun} is as it should be."
            return
        yield f"{'Change' if self.now else 'Create'} the {self.noun}:"
        for field, value in _flat(self.wanted).items():
            before = f"{_shown(changes[field][0])} -> " if self.now and field in changes else ""
            yield f"  {field:<30} {before}{_shown(value)}"


def id_of(part: Application | Template | None) -> str:
    """Its id at Infobip.

    Raises:
        AccountError: what Infobip made has none that could be used.
    """
    its_id = part.application_id if isinstance(part, Application) else part and part.message_id
    if not its_id:
        raise AccountError
    return its_id


def _flat(part: Application | Template) -> dict[str, Any]:
    payload = part.payload()
    configuration = payload.pop("configuration", {})
    return {**payload, **configuration}


def _meaning(field: str, value: Any) -> Any:
    """`60m` is `1h`: what Infobip writes in another way is no difference."""
    try:
        if field == "pinTimeToLive":
            return seconds(value or "")
        return Rate.parse(value) if field.endswith("Limit") and value else value
    except ValueError:
        return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
