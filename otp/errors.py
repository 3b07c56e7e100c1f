"""Everything that can go wrong, on one screen. No HTTP in here: `error_responses.STATUS` has the status of each class.

OtpError
├── InvalidRequest            the request cannot be read
│   ├── UnsupportedMediaType    it is not plain JSON
│   ├── RequestTooLarge         it is over the size limit
│   └── InvalidHeader           a header is not what it must be
├── Unauthorized              the client app has no valid key
├── RequestInProgress         the first request with this Idempotency-Key has no response yet
├── IdempotencyKeyReused      the Idempotency-Key was used with another body
├── InvalidChannel            there is no such channel
├── ChannelNotAvailable       the service does not offer this channel
├── InvalidRecipient          a phone number and an e-mail address, or an address that the channel does not reach
├── InvalidPhoneNumber        not a phone number
├── PhoneNumberNotAllowed     the service never sends to this phone number
├── PhoneNumberNotCallable    the phone number cannot be called from abroad
├── PhoneNumberUnreachable    Infobip has looked the phone number up and sent nothing, for it cannot be reached
├── InvalidEmail              not an e-mail address that PINs can be sent to
├── InvalidPlaceholders       the message does not take these placeholders
├── InvalidLocale             the locale is too long to be one
├── InvalidPurpose            the settings have no template for this purpose
├── InvalidNonce              not a nonce that a proof can carry
├── ChallengeFailed           the request has no token of a challenge that a person has passed
├── InvalidPinFormat          not of the template's length and characters
├── InvalidOtp                the only refusal of a verify, whatever the reason
│   └── PinGone                 Infobip does not know the PIN any more, or it was used meanwhile
├── InvalidProof              changed, signed with another key, or not a proof
│   ├── ProofExpired            the proof has expired
│   ├── ProofForAnother         the proof is for another audience
│   └── ProofAlreadyRedeemed    the proof was redeemed before
├── TooManyRequests           a cooldown, a limit, or Infobip's throttle
├── BudgetExhausted           the message would cost more than what is left of a budget
├── ServiceUnavailable        Infobip or Redis cannot be reached, or too many calls wait for Infobip
│   ├── ChallengeUnavailable    the challenge's vendor cannot be asked
│   ├── StoreUnavailable        Redis failed
│   └── PinNotSaved             Redis failed after the message was sent
├── ProviderRefused           Infobip refused the request
├── ProviderUnclear           Infobip's response is neither a success nor a refusal
└── ProviderTimeout           Infobip received the request; the result is unknown
"""

from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Why a request was refused: in the log and the metrics, never in a response. docs/operations.md explains each."""

    # TooManyRequests and BudgetExhausted: the rule.
    COOLDOWN = "cooldown"
    PHONE_LIMIT = "phone_limit"
    PHONE_SHARE = "phone_share"
    ADDRESS_LIMIT = "address_limit"
    CLIENT_RATE = "client_rate"
    CLIENT_QUOTA = "client_quota"
    CLIENT_EMAIL_QUOTA = "client_email_quota"
    WRONG_KEYS = "wrong_keys"
    TOTAL_LIMIT = "total_limit"
    TOTAL_EMAIL_LIMIT = "total_email_limit"
    DAY_BUDGET = "day_budget"
    MONTH_BUDGET = "month_budget"
    GUARD_COUNTRY = "guard_country"
    GUARD_PREFIX = "guard_prefix"
    GUARD_ADDRESS = "guard_address"
    PROVIDER_THROTTLE = "provider_throttle"
    # PhoneNumberNotAllowed: `flask guard block`. Without a reason, it is the settings.
    BLOCKED_BY_OPERATOR = "blocked_by_operator"
    # InvalidOtp: what was wrong.
    WRONG_PIN = "wrong_pin"
    NO_PIN = "no_pin"
    USED_PIN = "used_pin"
    GONE_PIN = "gone_pin"
    FAILURE_LIMIT = "failure_limit"


class OtpError(Exception):
    """A failure with a stable `code` for programs and a `sentence` for people.

    Attributes:
        may_have_sent: whether a message may be on its way, and on the bill. Otherwise the same request may be repeated.
        keeps_reservation: whether what was reserved for the call (cooldown, limits, budget, guess) stays counted.
            Otherwise Infobip certainly neither sent nor checked anything, and it is released.
        retry_after: in seconds; None where waiting does not help.
        reason: why the request was refused.
        detail: Infobip's own word for what went wrong, or the name of the exception that ended the call. Both are for
            the log alone.
    """

    code: ClassVar[str] = "internal_error"
    sentence: ClassVar[str] = "Something went wrong on our side."
    may_have_sent: ClassVar[bool] = False
    keeps_reservation: ClassVar[bool] = False

    def __init__(self, retry_after: float | None = None, reason: Reason | None = None, detail: str = "") -> None:
        super().__init__(self.code)
        self.retry_after = retry_after
        self.reason = reason
        self.detail = detail


class InvalidRequest(OtpError):
    code = "invalid_request"
    sentence = "The request body is not the JSON object that this endpoint takes."


class UnsupportedMediaType(InvalidRequest):
    code = "unsupported_media_type"
    sentence = "Send plain JSON with Content-Type: application/json."


class RequestTooLarge(InvalidRequest):
    code = "request_too_large"
    sentence = "The request body is too large."


class InvalidHeader(InvalidRequest):
    sentence = "A header of the request is not what this endpoint takes."


class Unauthorized(OtpError):
    code = "unauthorized"
    sentence = "This needs a valid API key."


class RequestInProgress(OtpError):
    code = "request_in_progress"
    sentence = "The first request with this Idempotency-Key is still in progress."


class IdempotencyKeyReused(OtpError):
    code = "idempotency_key_reused"
    sentence = "This Idempotency-Key was used with another request."


class InvalidChannel(OtpError):
    code = "invalid_channel"
    sentence = "There is no such channel."


class ChannelNotAvailable(OtpError):
    code = "channel_not_available"
    sentence = "Codes cannot be sent over this channel."


class InvalidRecipient(OtpError):
    code = "invalid_recipient"
    sentence = "Give either a phone number or an e-mail address that the channel reaches."


class InvalidPhoneNumber(OtpError):
    code = "invalid_phone_number"
    sentence = "Invalid phone number."


class PhoneNumberNotAllowed(OtpError):
    code = "phone_number_not_allowed"
    sentence = "This phone number cannot receive a code from this service."


class PhoneNumberNotCallable(OtpError):
    code = "phone_number_not_callable"
    sentence = "This phone number cannot be called."


class PhoneNumberUnreachable(OtpError):
    code = "phone_number_unreachable"
    sentence = "This phone number cannot be reached."
    keeps_reservation = True  # nothing was sent, but the lookup is on the bill: its price is a part of the reservation


class InvalidEmail(OtpError):
    code = "invalid_email"
    sentence = "Invalid e-mail address."


class InvalidPlaceholders(OtpError):
    code = "invalid_placeholders"
    sentence = "The message does not take these placeholders."


class InvalidLocale(OtpError):
    code = "invalid_locale"
    sentence = "Invalid locale."


class InvalidPurpose(OtpError):
    code = "invalid_purpose"
    sentence = "There is no such purpose."


class InvalidNonce(OtpError):
    code = "invalid_nonce"
    sentence = "Invalid nonce."


class ChallengeFailed(OtpError):
    code = "challenge_failed"
    sentence = "The challenge was not passed. Please try again."


class InvalidPinFormat(OtpError):
    code = "invalid_pin_format"
    sentence = "Invalid PIN format."


class InvalidOtp(OtpError):
    code = "invalid_otp"
    sentence = "Invalid or expired OTP."


class PinGone(InvalidOtp):
    """Infobip does not know the PIN any more, or it was used meanwhile: the store can forget it."""


class InvalidProof(OtpError):
    code = "proof_invalid"
    sentence = "This is no proof of this service."


class ProofExpired(InvalidProof):
    code = "proof_expired"
    sentence = "The proof has expired."


class ProofForAnother(InvalidProof):
    code = "proof_wrong_audience"
    sentence = "The proof is for another audience."


class ProofAlreadyRedeemed(InvalidProof):
    code = "proof_already_redeemed"
    sentence = "The proof has been redeemed before."


class TooManyRequests(OtpError):
    code = "too_many_requests"
    sentence = "Too many requests. Please try again later."


class BudgetExhausted(OtpError):
    code = "budget_exhausted"
    sentence = "No more codes can be sent for now. Please try again later."


class ServiceUnavailable(OtpError):
    code = "service_unavailable"
    sentence = "The service is unavailable right now. Please try again."


class ChallengeUnavailable(ServiceUnavailable):
    """The challenge's vendor cannot be asked: nobody knows whether it is a person."""


class StoreUnavailable(ServiceUnavailable):
    # A write whose reply was lost may have been carried out. Nothing was sent: after a send, the error is PinNotSaved.
    keeps_reservation = True


class PinNotSaved(ServiceUnavailable):
    sentence = "The code that was sent cannot be verified. Please ask for a new one."
    may_have_sent = keeps_reservation = True


class ProviderRefused(OtpError):
    code = "provider_error"
    sentence = "The code could not be sent or checked."


class ProviderUnclear(ProviderRefused):
    may_have_sent = keeps_reservation = True


class ProviderTimeout(OtpError):
    code = "provider_timeout"
    sentence = "The provider did not answer in time. Please wait before you try again."
    may_have_sent = keeps_reservation = True
