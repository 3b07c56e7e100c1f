"""PINs, the messages that carry them, and the results of operations."""

from dataclasses import dataclass, field
from uuid import uuid4

from sandbox.model import Channel, EmailTemplate, Template


@dataclass
class Pin:
    """A PIN. Times are in seconds of the clock; `to` is digits without +, or an e-mail address.

    `changed` is the version of the whole state at the last change of this PIN.
    """

    pin_id: str
    application_id: str
    template: Template | EmailTemplate
    to: str
    value: str
    sent_at: float
    expires_at: float
    attempts_allowed: int
    attempts_used: int = 0
    verified_at: float | None = None
    reached: bool = True
    changed: int = 0

    @property
    def recipient(self) -> str:
        """The phone number with its +, or the e-mail address."""
        return self.to if "@" in self.to else f"+{self.to}"

    def state(self, now: float) -> str:
        """verified, expired, used_up or pending."""
        if self.verified_at is not None:
            return "verified"
        if now >= self.expires_at:
            return "expired"
        return "used_up" if self.attempts_used >= self.attempts_allowed else "pending"


@dataclass(frozen=True)
class Message:
    """An SMS, a call or an e-mail. `serial` numbers them; `sent_at` is in seconds of the clock.

    Its delivery report has `message_id`, and says whether it `arrived`.
    """

    serial: int
    channel: Channel
    sender: str
    text: str
    sent_at: float
    pin: Pin = field(repr=False)
    arrived: bool = True
    message_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(frozen=True)
class SendResult:
    """The result of a send or a resend: `accepted` is whether Infobip says that `message` is on its way.

    `looked_up`: whether Number Lookup checked the number first.
    """

    message: Message
    looked_up: bool
    accepted: bool

    @property
    def pin(self) -> Pin:
        """The PIN in the message."""
        return self.message.pin


@dataclass(frozen=True)
class VerifyResult:
    """The result of a verify."""

    pin: Pin
    verified: bool
    attempts_remaining: int
    pin_error: str | None = None
