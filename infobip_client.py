"""The only module that knows Infobip: its 2FA API (v2).

Its errors say what the caller must know: ProviderRefused (nothing was sent, asking again will not help),
ServiceUnavailable and TooManyRequests (nothing was sent, asking again may help), ProviderTimeout and
ProviderUnclear (it may have been sent or judged).
"""

import logging
import re
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from errors import OtpError, ProviderRefused, ProviderTimeout, ProviderUnclear, TooManyRequests
from transport import Answer, Transport

log = logging.getLogger("otp.infobip")

MAX_RETRY_AFTER = 3600
PIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it becomes a part of a path
MESSAGE_ID = re.compile(r"[A-Z0-9_]{1,64}")  # it becomes a part of a log line
THROTTLED = {"TOO_MANY_REQUESTS", "THROTTLE_EXCEPTION", "E429"}
UNKNOWN_PIN = {"NOT_FOUND", "RESOURCE_NOT_FOUND", "BAD_REQUEST", "E400", "E404"}


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


class SendAnswer(_Model):
    """StartAuthenticationResponse. A 200 with MESSAGE_NOT_SENT is a refusal."""

    pin_id: str
    sms_status: str


class VerifyAnswer(_Model):
    """VerifyPinResponse. A wrong, expired or used-up PIN is a 200 with `verified` false."""

    verified: bool
    pin_id: str | None = None
    pin_error: str | None = None


class _ServiceException(_Model):
    message_id: str = ""


class _RequestError(_Model):
    service_exception: _ServiceException = _ServiceException()


class ErrorAnswer(_Model):
    """Both of Infobip's error shapes: `requestError.serviceException.messageId` and `errorCode`."""

    request_error: _RequestError = _RequestError()
    error_code: str = ""


_M = TypeVar("_M", bound=_Model)


class InfobipClient:
    """Sends and verifies PINs with one application and one message template.

    Args:
        throttle_pause: seconds to wait where Infobip throttles without saying for how long.
    """

    def __init__(self, transport: Transport, application_id: str, message_id: str, throttle_pause: float) -> None:
        self._transport = transport
        self._template = {"applicationId": application_id, "messageId": message_id}
        self._throttle_pause = throttle_pause

    def send_pin(self, phone: str) -> str:
        """Have an SMS with a new PIN sent to `phone` (E.164, with its +); returns the PIN's id. Never repeated.

        Source: operation send-2fa-pin-code-over-sms.
        """
        answer = self._transport.post("/2fa/2/pin", {**self._template, "to": phone})
        if answer.status != 200:
            raise self._failure(answer)
        sent = _parse(SendAnswer, answer)
        if sent.sms_status == "MESSAGE_NOT_SENT":
            log.warning("Infobip did not send: MESSAGE_NOT_SENT")
            raise ProviderRefused
        if sent.sms_status != "MESSAGE_SENT" or not PIN_ID.fullmatch(sent.pin_id):
            raise ProviderUnclear
        return sent.pin_id

    def verify_pin(self, pin_id: str, pin: str) -> bool:
        """True if `pin` is right and Infobip takes it. Repeated once where that can do no harm.

        Source: operation verify-2fa-phone-number. An unknown PIN is a 404 by the contract, and was a 400
        in real traffic: both are a plain no.
        """
        if not PIN_ID.fullmatch(pin_id):
            raise ProviderRefused
        answer = self._transport.post(f"/2fa/2/pin/{pin_id}/verify", {"pin": pin}, tries=2)
        if answer.status in (400, 404) and _message_id(answer) in UNKNOWN_PIN:
            return False
        if answer.status != 200:
            raise self._failure(answer)
        judged = _parse(VerifyAnswer, answer)
        if judged.pin_id not in (None, pin_id):
            raise ProviderUnclear
        return judged.verified and judged.pin_error in (None, "NO_ERROR")

    def _failure(self, answer: Answer) -> OtpError:
        word = _message_id(answer)
        log.error("Infobip refused: status=%d messageId=%s", answer.status, word)
        if answer.status == 429 or word in THROTTLED:
            return TooManyRequests(_seconds(answer.retry_after) or self._throttle_pause)
        if answer.status >= 500:
            return ProviderTimeout()
        return ProviderRefused() if answer.status >= 400 else ProviderUnclear()


def _parse(model: type[_M], answer: Answer) -> _M:
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as e:
        log.error("Infobip's answer is no %s: status=%d", model.__name__, answer.status)
        raise ProviderUnclear from e


def _message_id(answer: Answer) -> str:
    """Infobip's own word for what went wrong; empty if there is none that can be trusted."""
    try:
        error = ErrorAnswer.model_validate_json(answer.body)
    except ValidationError:
        return ""
    word = error.request_error.service_exception.message_id or error.error_code
    return word if MESSAGE_ID.fullmatch(word) else ""


def _seconds(retry_after: str) -> int | None:
    """The seconds of a Retry-After, within 1..3600; None if there are none."""
    if not re.fullmatch("[0-9]{1,9}", retry_after):
        return None
    return min(max(int(retry_after), 1), MAX_RETRY_AFTER)
