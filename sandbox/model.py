"""The things of Infobip's 2FA: applications, templates, PINs, messages, and the grammar of their limits."""

import re
import string
from dataclasses import dataclass, field

ALPHABETS = {
    "NUMERIC": string.digits,
    "ALPHA": string.ascii_uppercase,
    "HEX": string.digits + "ABCDEF",
    "ALPHANUMERIC": string.ascii_uppercase + string.digits,
}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class ApiError(Exception):
    """A refusal in Infobip's shape: HTTP status, messageId and text."""

    def __init__(self, status: int, message_id: str, text: str, **validation_errors: str) -> None:
        super().__init__(text)
        self.status, self.message_id, self.text = status, message_id, text
        self.validation_errors = {name: [reason] for name, reason in validation_errors.items()}


def seconds(duration: str) -> float:
    """Read `{timeLength}{timeUnit}`; the length may be left out and is then 1."""
    written = re.fullmatch("([0-9]*)(ms|s|m|h|d)", duration)
    if not written:
        raise ValueError(f"{duration!r} is no duration like 10m")
    return int(written[1] or 1) * _UNITS[written[2]]


@dataclass(frozen=True)
class Limit:
    """`{attempts}/{timeLength}{timeUnit}`."""

    attempts: int
    period: float

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Read `3/1d`."""
        attempts, slash, period = text.partition("/")
        if not slash or not re.fullmatch("[0-9]+", attempts):
            raise ValueError(f"{text!r} is no limit like 3/1d")
        return cls(int(attempts), seconds(period))


@dataclass(frozen=True)
class Configuration:
    """ApplicationConfiguration, with Infobip's defaults."""

    pin_attempts: int = 10
    allow_multiple_pin_verifications: bool = True
    pin_time_to_live: str = "15m"
    verify_pin_limit: str = "1/3s"
    send_pin_per_application_limit: str = "10000/1d"
    send_pin_per_phone_number_limit: str = "3/1d"


@dataclass(frozen=True)
class Application:
    """A 2FA application: the limits of a use of PINs."""

    application_id: str
    name: str
    configuration: Configuration = field(default_factory=Configuration)
    enabled: bool = True


@dataclass(frozen=True)
class Template:
    """A message template: the text with {{pin}} in it, and what a PIN looks like."""

    message_id: str
    application_id: str
    message_text: str = "Your verification code is {{pin}}"
    pin_length: int = 6
    pin_type: str = "NUMERIC"
    sender_id: str = "InfoSMS"


@dataclass
class Pin:
    """A PIN that was sent. Times are those of the clock."""

    pin_id: str
    to: str
    value: str
    application: Application
    template: Template
    expires_at: float
    attempts_left: int
    verified: bool = False


@dataclass(frozen=True)
class Message:
    """An SMS as it arrives. `sent_at` is in Unix seconds."""

    to: str
    sender: str
    text: str
    pin: str
    pin_id: str
    sent_at: float


@dataclass(frozen=True)
class Verdict:
    """What a verify answers."""

    verified: bool
    attempts_remaining: int
    pin_error: str | None = None
