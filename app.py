"""HTTP: the routes, and the one table from errors to statuses."""

import json
import logging
import math
import random
import re
import time
import traceback
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, jsonify, request
from flask_limiter import Limiter, RateLimitExceeded
from werkzeug.exceptions import HTTPException

import errors
import windows  # noqa: F401  Flask-Limiter finds its storage by the name otp://
from admission import Admission
from config import CONCURRENCY, Settings, load_settings
from connection import Client, connect
from inbound import Body, client_address, read_body
from infobip_client import InfobipClient
from otp import OtpService, Rules
from phone import PhoneBook
from store import Store
from transport import Transport

log = logging.getLogger("otp")

REQUEST_ID = re.compile("[A-Za-z0-9._-]{8,64}")

STATUS: dict[type[errors.OtpError], int] = {
    errors.InvalidRequest: 400,
    errors.UnsupportedMediaType: 415,
    errors.RequestTooLarge: 413,
    errors.InvalidPhoneNumber: 400,
    errors.PhoneNumberNotAllowed: 400,
    errors.InvalidPinFormat: 400,
    errors.InvalidOtp: 401,
    errors.TooManyRequests: 429,
    errors.ProviderRefused: 502,
    errors.ProviderUnclear: 502,
    errors.ServiceUnavailable: 503,
    errors.StoreUnavailable: 503,
    errors.PinNotSaved: 503,
    errors.ProviderTimeout: 504,
    errors.OtpError: 500,
}


class SendOtp(Body):
    """Body of POST /send-otp."""

    phone_number: str


class VerifyOtp(Body):
    """Body of POST /verify-otp. A PIN that is no string has the wrong format, like any other wrong one."""

    phone_number: str
    pin: Any


class OtpApi:
    """The views."""

    def __init__(self, service: OtpService, store: Store, settings: Settings) -> None:
        self._service = service
        self._store = store
        self._phones = PhoneBook(settings.default_region, settings.allowed_countries)
        self._pin = settings.pin_pattern
        self._sent = {
            "message": "OTP sent successfully.",
            "expiresIn": int(settings.pin_time_to_live),
            "resendIn": math.ceil(settings.resend_cooldown),
        }

    def send_otp(self) -> dict[str, Any]:
        """Answer POST /send-otp."""
        body = read_body(request, SendOtp)
        self._service.send(self._phones.read_sendable(body.phone_number))
        return self._sent

    def verify_otp(self) -> dict[str, Any]:
        """Answer POST /verify-otp."""
        body = read_body(request, VerifyOtp)
        phone = self._phones.read(body.phone_number)
        if not isinstance(body.pin, str) or not self._pin.fullmatch(body.pin):
            raise errors.InvalidPinFormat
        self._service.verify(phone, body.pin)
        return {"message": "OTP verified successfully."}

    def index(self) -> Response:
        """Answer GET /."""
        return Response("Infobip OTP Service Running!", mimetype="text/plain")

    def healthz(self) -> dict[str, Any]:
        """Answer GET /healthz: the process lives."""
        return {"status": "alive"}

    def readyz(self) -> dict[str, Any]:
        """Answer GET /readyz: Redis answers."""
        self._store.ping()
        return {"status": "ready"}


def create_app(settings: Settings | None = None) -> Flask:
    """Build the service from `settings`, or from those of the environment.

    Opens no connection, but to a Redis Cluster. Call it in the process that serves, not before a fork.

    Raises:
        SettingsError: the settings of the environment are not right.
    """
    settings = settings or load_settings()
    client = connect(settings.redis_url.get_secret_value())
    store = Store(client)
    cooldown, per_phone, total = settings.resend_cooldown, settings.phone_send_limit, settings.total_send_limit
    admission = Admission(client, cooldown, per_phone, total)
    rules = Rules(settings.pin_time_to_live, settings.resend_cooldown, settings.pin_attempts)
    api = OtpApi(OtpService(admission, store, _infobip(settings), rules), store, settings)

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.before_request(_identify)
    _add_routes(app, api, _limiter(app, client, settings.trusted_proxies), settings)
    app.register_error_handler(errors.OtpError, refusal)
    app.register_error_handler(HTTPException, _http_refusal)
    app.register_error_handler(Exception, _bug)
    return app


def _infobip(settings: Settings) -> InfobipClient:
    transport = Transport(
        settings.infobip_base_url,
        {"Authorization": f"App {settings.infobip_api_key.get_secret_value()}", "User-Agent": "infobip-otp"},
        timeout=settings.infobip_timeout,
        pool_size=CONCURRENCY,
    )
    application, message = settings.infobip_2fa_app_id, settings.infobip_2fa_msg_id
    return InfobipClient(transport, application, message, throttle_pause=settings.resend_cooldown)


def _add_routes(app: Flask, api: OtpApi, limiter: Limiter, settings: Settings) -> None:
    app.add_url_rule("/", view_func=api.index)
    app.add_url_rule("/healthz", view_func=api.healthz)
    app.add_url_rule("/readyz", view_func=api.readyz)
    send_otp = limiter.limit(str(settings.send_otp_limit))(api.send_otp)
    verify_otp = limiter.limit(str(settings.verify_otp_limit))(api.verify_otp)
    app.add_url_rule("/send-otp", view_func=send_otp, methods=["POST"])
    app.add_url_rule("/verify-otp", view_func=verify_otp, methods=["POST"])


def _limiter(app: Flask, client: Client, trusted_proxies: int) -> Limiter:
    """The limits by address. Its own headers stay off: they would put its Retry-After over a cooldown's."""
    limiter = Limiter(
        lambda: client_address(request, trusted_proxies),
        app=app,
        storage_uri="otp://",
        storage_options={"client": client},  # type: ignore[dict-item]
        strategy="moving-window",
    )

    @app.after_request
    def finish(response: Response) -> Response:
        if limit := limiter.current_limit:
            response.headers["X-RateLimit-Limit"] = str(limit.limit.amount)
            response.headers["X-RateLimit-Remaining"] = str(limit.remaining)
            response.headers["X-RateLimit-Reset"] = str(limit.reset_at)
        response.headers["X-Request-ID"] = g.request_id
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.errorhandler(RateLimitExceeded)
    def exceeded(_: RateLimitExceeded) -> Response:
        assert limiter.current_limit
        return refusal(errors.TooManyRequests(limiter.current_limit.window.reset_time - time.time()))

    return limiter


def _identify() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else _new_request_id()


def _new_request_id() -> str:
    return f"{random.getrandbits(128):032x}"


def refusal(error: errors.OtpError) -> Response:
    """The JSON answer to `error`."""
    status = STATUS[type(error)]
    if status >= 500:
        log.warning("answered %d %s: %s request_id=%s", status, error.code, type(error).__name__, g.request_id)
    response = _json(error.code, error.sentence, status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return response


def raw_refusal(error: errors.OtpError) -> bytes:
    """The whole HTTP answer to a request that the server in front of the application could not read."""
    status = HTTPStatus(STATUS[type(error)])
    body = json.dumps({"error": error.sentence, "code": error.code})
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nX-Request-ID: {_new_request_id()}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _http_refusal(error: HTTPException) -> Response:
    """What Flask refuses before a view runs: an unknown path (404), a wrong method (405)."""
    if error.code == 400:
        return refusal(errors.InvalidRequest())
    response = _json(error.name.lower().replace(" ", "_"), f"{error.name}.", error.code or 500)
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(allowed)
    return response


def _bug(error: Exception) -> Response:
    # The message of an unexpected error may quote a PIN or a URL with a pinId: only its type and place are logged.
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error("bug: %s at %s:%s request_id=%s", type(error).__name__, place.filename, place.lineno, g.request_id)
    return refusal(errors.OtpError())


def _json(code: str, sentence: str, status: int) -> Response:
    response: Response = jsonify(error=sentence, code=code)
    response.status_code = status
    return response
