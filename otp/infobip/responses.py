"""What Infobip answers: read, or turned into an error of ours."""

import logging
import re
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from otp.errors import OtpError, ProviderRefused, ProviderTimeout, ProviderUnclear, Reason, TooManyRequests
from otp.infobip.transport import Answer

log = logging.getLogger("otp.infobip")

MAX_RETRY_AFTER = 3600
MESSAGE_ID = re.compile(r"[A-Z0-9_]{1,64}")  # it becomes a part of a log line
THROTTLES = {"TOO_MANY_REQUESTS", "THROTTLE_EXCEPTION", "E429"}


class StrictResponse(BaseModel):
    """Members in camelCase, of exactly the declared types; those it does not know are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


class _ServiceException(StrictResponse):
    message_id: str = ""


class _RequestError(StrictResponse):
    service_exception: _ServiceException = _ServiceException()


class ErrorResponse(StrictResponse):
    """Both of Infobip's error shapes: `requestError.serviceException.messageId` and `errorCode`."""

    request_error: _RequestError = _RequestError()
    error_code: str = ""


_M = TypeVar("_M", bound=BaseModel)


def parse_response(model: type[_M], answer: Answer) -> _M:
    """The body of `answer` as a `model`.

    Raises:
        ProviderUnclear: it is none.
    """
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as e:
        log.error("provider_unclear", extra={"status": answer.status, "expected": model.__name__})
        raise ProviderUnclear from e


def message_id(answer: Answer) -> str:
    """Infobip's own word for what went wrong; empty if there is none that can be trusted."""
    try:
        error = ErrorResponse.model_validate_json(answer.body)
    except ValidationError:
        return ""
    word = error.request_error.service_exception.message_id or error.error_code
    return word if MESSAGE_ID.fullmatch(word) else ""


def failure(answer: Answer, throttle_pause: float) -> OtpError:
    """What an `answer` that is no success means. A throttle that names no pause takes `throttle_pause` seconds."""
    word = message_id(answer)
    log.error("provider_refused", extra={"status": answer.status, "error_code": word})
    if answer.status == 429 or word in THROTTLES:
        return TooManyRequests(_seconds(answer.retry_after) or throttle_pause, Reason.PROVIDER_THROTTLE)
    if answer.status >= 500:
        return ProviderTimeout(detail=word)
    return ProviderRefused(detail=word) if answer.status >= 400 else ProviderUnclear(detail=word)


def _seconds(retry_after: str) -> int | None:
    """The seconds of a Retry-After, within 1..3600; None if there are none."""
    if not re.fullmatch("[0-9]{1,9}", retry_after):
        return None
    return min(max(int(retry_after), 1), MAX_RETRY_AFTER)
