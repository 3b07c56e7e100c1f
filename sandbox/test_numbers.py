"""Test numbers with a fixed fault, for testing how an app handles it: fictional numbers, +1 415 555 01xx.

Numbers that end in 010x fail when a PIN is sent, those in 011x when it is verified. If only Infobip's response gets
lost, the message still arrives, which is what makes such a failure hard. The number that gets no SMS can be called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sandbox.grammar import without_plus


class Fault(Enum):
    """What happens instead of a successful response."""

    UNREACHABLE = "the number cannot be reached: 200 with MESSAGE_NOT_SENT, after a lookup"
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
    """A number (digits, no +), the step that fails (send or verify), and how."""

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
    """The fault of `step` (send or verify) for the number `to` (with or without its +)."""
    outcome = _BY_NUMBER.get(without_plus(to))
    return outcome.fault if outcome and outcome.step == step else None
