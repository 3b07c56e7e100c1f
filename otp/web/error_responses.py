"""Error responses: the one table from errors to HTTP statuses, and a JSON body for all of them."""

import json
import logging
import math
import traceback
from http import HTTPStatus

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from otp import errors, request_record
from otp.telemetry import request_log
from otp.web.application import JsonResponse
from otp.web.border import new_request_id

log = logging.getLogger("otp")

STATUS: dict[type[errors.OtpError], int] = {
    errors.InvalidRequest: 400,
    errors.UnsupportedMediaType: 415,
    errors.RequestTooLarge: 413,
    errors.InvalidHeader: 400,
    errors.Unauthorized: 401,
    errors.RequestInProgress: 409,
    errors.IdempotencyKeyReused: 422,
    errors.InvalidChannel: 400,
    errors.ChannelNotAvailable: 400,
    errors.InvalidRecipient: 400,
    errors.InvalidPhoneNumber: 400,
    errors.PhoneNumberNotAllowed: 400,
    errors.PhoneNumberNotCallable: 400,
    errors.PhoneNumberUnreachable: 400,
    errors.InvalidEmail: 400,
    errors.InvalidPlaceholders: 400,
    errors.InvalidLocale: 400,
    errors.InvalidPurpose: 400,
    errors.InvalidNonce: 400,
    errors.ChallengeFailed: 400,
    errors.InvalidPinFormat: 400,
    errors.InvalidOtp: 401,
    errors.PinGone: 401,
    errors.InvalidProof: 401,
    errors.ProofExpired: 401,
    errors.ProofForAnother: 401,
    errors.ProofAlreadyRedeemed: 409,
    errors.TooManyRequests: 429,
    errors.ProviderRefused: 502,
    errors.ProviderUnclear: 502,
    errors.BudgetExhausted: 503,
    errors.ServiceUnavailable: 503,
    errors.ChallengeUnavailable: 503,
    errors.StoreUnavailable: 503,
    errors.PinNotSaved: 503,
    errors.ProviderTimeout: 504,
    errors.OtpError: 500,
}


def register(app: Flask) -> None:
    """Have `app` answer every exception with JSON."""
    app.register_error_handler(errors.OtpError, refusal)
    app.register_error_handler(HTTPException, _http_refusal)
    app.register_error_handler(Exception, _bug)


def refusal(error: errors.OtpError) -> Response:
    """The response to `error`."""
    request_record.current().error = error
    response = _json(error.code, error.sentence, STATUS[type(error)])
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, errors.Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def raw_refusal(error: errors.OtpError) -> bytes:
    """The bytes of the whole HTTP response to a request that the server could not parse."""
    status, request_id = HTTPStatus(STATUS[type(error)]), new_request_id()
    request_log.log_unreadable(request_id, status.value, error.code)
    body = json.dumps({"error": error.sentence, "code": error.code})
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nX-Request-ID: {request_id}\r\n"
    head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _http_refusal(error: HTTPException) -> Response:
    """The response to what Flask refuses before a view runs: an unknown path (404), a wrong method (405)."""
    response = _json(error.name.lower().replace(" ", "_"), f"{error.name}.", error.code or 500)
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(allowed)
    return response


def _bug(error: Exception) -> Response:
    # The message of an unexpected error may quote a PIN or a URL with a pinId: only its type and place are logged.
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error("bug", extra={"error": type(error).__name__, "at": f"{place.filename}:{place.lineno}"})
    return refusal(errors.OtpError())


def _json(code: str, sentence: str, status: int) -> Response:
    request_record.current().code = code
    return JsonResponse({"error": sentence, "code": code}, status)
