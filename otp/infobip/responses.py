"""Parses the responses of Infobip, and turns failures into the service's errors."""

import logging
import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from otp.errors import OtpError, ProviderRefused, ProviderTimeout, ProviderUnclear, Reason, TooManyRequests
from otp.http_client.strict_response import StrictResponse
from otp.infobip.transport import Response

log = logging.getLogger("otp.infobip")

MAX_RETRY_AFTER = 3600
_ERROR_CODE = re.compile(r"[A-Z0-9_]{1,64}")  # it becomes a part of a log line
NOT_FOUND = frozenset({"NOT_FOUND", "RESOURCE_NOT_FOUND", "E404"})
THROTTLES = {"TOO_MANY_REQUESTS", "THROTTLE_EXCEPTION", "E429"}


class _ServiceException(StrictResponse):
    message_id: str = ""


class _RequestError(StrictResponse):
    service_exception: _ServiceException = _ServiceException()


class ErrorResponse(StrictResponse):
    """Both error formats of Infobip: `requestError.serviceException.messageId` and `errorCode`."""

    request_error: _RequestError = _RequestError()
    error_code: str = ""


_M = TypeVar("_M", bound=BaseModel)


def parse_response(model: type[_M], response: Response) -> _M:
    """The body of `response` as a `model`.

    Raises:
        ProviderUnclear: the body does not fit the model.
    """
    try:
        return model.model_validate_json(response.body)
    except ValidationError as e:
        log.error("provider_unclear", extra={"status": response.status, "expected": model.__name__})
        raise ProviderUnclear from e


def error_code(response: Response) -> str:
    """Infobip's error code; "" if there is none, or it is malformed."""
    try:
        error = ErrorResponse.model_validate_json(response.body)
    except ValidationError:
        return ""
    code = error.request_error.service_exception.message_id or error.error_code
    return code if _ERROR_CODE.fullmatch(code) else ""


def error_for(response: Response, throttle_pause: float) -> OtpError:
    """The error for an unsuccessful response. `throttle_pause` is for a throttle without a Retry-After, in seconds."""
    code = error_code(response)
    log.error("provider_refused", extra={"status": response.status, "error_code": code})
    if response.status == 429 or code in THROTTLES:
        return TooManyRequests(_seconds(response.retry_after) or throttle_pause, Reason.PROVIDER_THROTTLE)
    if response.status >= 500:
        return ProviderTimeout(detail=code)
    return ProviderRefused(detail=code) if response.status >= 400 else ProviderUnclear(detail=code)


def _seconds(retry_after: str) -> int | None:
    """The seconds of a Retry-After, bounded to 1..3600; None if it has another form."""
    if not re.fullmatch("[0-9]{1,9}", retry_after):
        return None
    return min(max(int(retry_after), 1), MAX_RETRY_AFTER)
