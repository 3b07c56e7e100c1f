"""How a request, or a call to Infobip, ended: in one word, for the log and the metrics."""

from otp import errors
from otp.request_record import Record

_OUTCOMES: dict[type[errors.OtpError], str] = {
    errors.TooManyRequests: "limited",
    errors.BudgetExhausted: "limited",
    errors.PhoneNumberUnreachable: "unreachable",
    errors.ProviderRefused: "provider_refused",
    errors.ProviderUnclear: "provider_unclear",
    errors.ProviderTimeout: "provider_timeout",
    errors.ServiceUnavailable: "provider_unreachable",
    errors.ChallengeUnavailable: "challenge_unavailable",
    errors.StoreUnavailable: "redis_unavailable",
    errors.PinNotSaved: "pin_not_saved",
    errors.OtpError: "bug",
}
_SUCCESSES = {"send": "sent", "verify": "verified"}


def outcome(record: Record) -> str:
    """The outcome of the request of `record`."""
    if record.replayed:
        return "replayed"
    if record.error is not None:
        return failure(record.error)
    return "invalid" if record.code else _SUCCESSES.get(record.operation, "ok")


def failure(error: errors.OtpError) -> str:
    """The outcome of a request, or of a call to Infobip, that ended with `error`."""
    if error.reason and isinstance(error, errors.InvalidOtp):
        return error.reason.value
    if error.reason == errors.Reason.BLOCKED_BY_OPERATOR:  # a rule like the limits, not a mistake of the app
        return "limited"
    if error.reason == errors.Reason.PROVIDER_THROTTLE:
        return "provider_throttled"
    return _OUTCOMES.get(type(error), "invalid")
