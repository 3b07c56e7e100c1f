"""Whether a PIN is right, and what a guess costs."""

import secrets

from sandbox.pins import Pin, Verdict
from sandbox.quirks import Choices


def judge(pin: Pin, value: str, now: float, choices: Choices, *, multiple: bool) -> Verdict:
    """Judge `value` at `now`, which costs `pin` an attempt. `multiple`: a PIN may be right more than once."""
    if now >= pin.expires_at:
        return Verdict(pin, False, 0, "TTL_EXPIRED")
    if pin.verified_at is not None and not multiple:
        return Verdict(pin, False, 0, choices.used_pin_error)
    if pin.attempts_used >= pin.attempts_allowed:
        return Verdict(pin, False, 0, "NO_MORE_PIN_ATTEMPTS")
    pin.attempts_used += 1
    if not secrets.compare_digest(value.encode(), pin.value.encode()):
        remaining = pin.attempts_allowed - pin.attempts_used
        return Verdict(pin, False, remaining, "WRONG_PIN" if remaining else choices.last_attempt_error)
    pin.verified_at = now
    return Verdict(pin, True, 0)
