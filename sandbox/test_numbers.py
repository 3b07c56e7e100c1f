"""Numbers with a fixed outcome, so that an app can be seen to handle it: fictional ones, +1 415 555 01xx.

Those that end in 010x meet theirs when a PIN is sent, those in 011x when it is verified. Where Infobip's answer gets
lost on its way, the message arrives all the same: that is what makes such a failure hard. The number that gets no SMS
can be called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """What happens instead of a good answer."""

    UNREACHABLE = "the number cannot be reached: 200 with MESSAGE_NOT_SENT"
    EXPIRED = "the PIN expires at once: TTL_EXPIRED"
    ERROR = "500 GENERAL_ERROR"
    THROTTLED = "429 TOO_MANY_REQUESTS with Retry-After: 30"
    SILENCE = "no answer for 60 seconds"
    RESET = "the connection is reset after the request was taken"
    REDIRECT = "a redirect to another host"
    HTML = "200 with HTML instead of JSON"
    DRIP = "an answer of one byte a second"
    UNDELIVERABLE = "200, no SMS arrives, and its delivery report says UNDELIVERABLE; calls do arrive"


@dataclass(frozen=True)
class Outcome:
    """A number (digits, no +), when its fault comes (send or verify), and which."""

    number: str
    step: str
    fault: Fault

    @property
    def meaning(self) -> str:
        """One line for people."""
        return f"{self.step}: {self.fault.value}"


_COMMON = (Fault.ERROR, Fault.THROTTLED, Fault.SILENCE, Fault.RESET, Fault.REDIRECT, Fault.HTML, Fault.DRIP)
_AT_SEND = enumerate((Fault.UNREACHABLE, *_COMMON, Fault.UNDELIVERABLE), 101)
_AT_VERIFY = enumerate((Fault.EXPIRED, *_COMMON), 111)
TABLE: Sequence[Outcome] = (
    *(Outcome(f"14155550{n}", "send", fault) for n, fault in _AT_SEND),
    *(Outcome(f"14155550{n}", "verify", fault) for n, fault in _AT_VERIFY),
)
_BY_NUMBER = {outcome.number: outcome for outcome in TABLE}


def fault(to: str, step: str) -> Fault | None:
    """What `step` (send or verify) meets for the number `to` (digits, no +)."""
    outcome = _BY_NUMBER.get(to)
    return outcome.fault if outcome and outcome.step == step else None
