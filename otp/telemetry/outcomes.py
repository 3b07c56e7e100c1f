"""What became of a request, in one word."""

from otp import errors
from otp.telemetry.record import Record

_OUTCOMES: dict[type[errors.OtpError], str] = {
    errors.TooManyRequests: "limited",
    errors.BudgetExhausted: "limited",
    errors.ProviderRefused: "provider_refused",
    errors.ProviderUnclear: "provider_unclear",
    errors.ProviderTimeout: "provider_timeout",
    errors.ServiceUnavailable: "provider_unreachable",
    errors.StoreUnavailable: "redis_unavailable",
    errors.PinNotSaved: "pin_not_saved",
    errors.OtpError: "bug",
}
SENDS = {"/send-otp", "/resend-otp"}
_DONE = {**dict.fromkeys(SENDS, "sent"), "/verify-otp": "verified"}
# Those after which a message may be on its way, and on the bill.
PAID = {"sent", "provider_unclear", "provider_timeout", "pin_not_saved"}


def outcome(record: Record, route: str) -> str:
    """The word for what `record` says of a request to `route`."""
    if record.replayed:
        return "replayed"
    if record.error is not None:
        return failure(record.error)
    return "invalid" if record.code else _DONE.get(route, "ok")


def failure(error: errors.OtpError) -> str:
    """The same for a request, or a call to Infobip, that ended with `error`."""
    if error.reason and isinstance(error, errors.InvalidOtp):
        return error.reason.value
    if error.reason == errors.Reason.PROVIDER_THROTTLE:
        return "provider_throttled"
    return _OUTCOMES.get(type(error), "invalid")
