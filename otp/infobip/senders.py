"""The senders of SMS, by the region of the phone: some countries deliver only from registered ones."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from otp.setting_types import from_text, json_or_file, read_region

DEFAULT = "default"
# Infobip, "Sender types": 3 to 11 characters with a letter among them, or the digits of a number or a short code.
_SENDER = re.compile("(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{3,11}|[0-9]{3,15}")
_LIKE = '{"US": "12065550100", "default": "Shop"}'


def _key(name: str) -> str:
    return name if name == DEFAULT else read_region(name)


def _sender(given: Any) -> Any:
    if isinstance(given, str) and _SENDER.fullmatch(given):
        return given
    raise ValueError("must have senders of 3 to 11 letters and digits, or of 3 to 15 digits, like " + _LIKE)


Senders = Annotated[
    dict[Annotated[str, AfterValidator(_key)], Annotated[str, BeforeValidator(_sender)]],
    from_text(lambda text: json_or_file(text, _LIKE)),
]


def sender_for(senders: Mapping[str, str], region: str) -> str:
    """The sender of an SMS to `region`; "" for that of the message template."""
    return senders.get(region) or senders.get(DEFAULT, "")
