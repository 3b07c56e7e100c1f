"""Checks a PIN."""

import secrets

from sandbox.pins import Pin, VerifyResult
from sandbox.quirks import Quirks


def check_pin(pin: Pin, value: str, now: float, quirks: Quirks, *, multiple: bool) -> VerifyResult:
    """Check `value` against `pin` at `now`, and count an attempt. `multiple`: a PIN may be verified more than once."""
    if now >= pin.expires_at:
        return VerifyResult(pin, False, 0, "TTL_EXPIRED")
    if pin.verified_at is not None and not multiple:
        return VerifyResult(pin, False, 0, quirks.used_pin_error)
    if pin.attempts_used >= pin.attempts_allowed:
        return VerifyResult(pin, False, 0, "NO_MORE_PIN_ATTEMPTS")
    pin.attempts_used += 1
    if not secrets.compare_digest(value.encode(), pin.value.encode()):
        remaining = pin.attempts_allowed - pin.attempts_used
        return VerifyResult(pin, False, remaining, "WRONG_PIN" if remaining else quirks.last_attempt_error)
    pin.verified_at = now
    return VerifyResult(pin, True, 0)
