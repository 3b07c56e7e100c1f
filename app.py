"""HTTP: the application, its routes and their request models."""

import math
import re
from functools import partial
from typing import Any

from flask import Flask, Response, g, request
from flask_limiter import Limiter

import errors
from assembly import Parts, assemble
from config import Settings, load_settings
from spending.admission import Sending
from web import refusals
from web.address_limits import address_limits
from web.inbound import Body, client_address, read_body
from web.proofs import ProofApi

REQUEST_ID = re.compile("[A-Za-z0-9._-]{8,64}")


class SendOtp(Body):
    """Body of POST /send-otp."""

    phone_number: str


class VerifyOtp(Body):
    """Body of POST /verify-otp. A PIN that is no string has the wrong format, like any other wrong one."""

    phone_number: str
    pin: Any
    verification_id: str | None = None


class OtpApi:
    """The views."""

    def __init__(self, parts: Parts, settings: Settings, proofs: ProofApi | None) -> None:
        self._service = parts.otp
        self._store = parts.store
        self._phones = parts.phones
        self._proofs = proofs
        self._pin = settings.pin_pattern
        self._needs_verification_id = settings.require_verification_id
        self._sent = {
            "message": "OTP sent successfully.",
            "expiresIn": int(settings.pin_time_to_live),
            "resendIn": math.ceil(settings.resend_cooldown),
        }

    def send_otp(self) -> dict[str, Any]:
        """Answer POST /send-otp."""
        body = read_body(request, SendOtp)
        phone = self._phones.read_sendable(body.phone_number)
        verification_id = self._service.send(Sending(phone, g.address))
        return {**self._sent, "verificationId": verification_id}

    def verify_otp(self) -> dict[str, Any]:
        """Answer POST /verify-otp."""
        body = read_body(request, VerifyOtp)
        phone = self._phones.read(body.phone_number)
        if not isinstance(body.pin, str) or not self._pin.fullmatch(body.pin):
            raise errors.InvalidPinFormat
        if self._needs_verification_id and body.verification_id is None:
            raise errors.InvalidRequest
        self._service.verify(phone, body.pin, body.verification_id)
        proof = {"proof": self._proofs.new(phone)} if self._proofs else {}
        return {"message": "OTP verified successfully.", **proof}

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

    Opens no connection yet. Call it in the process that serves, not before a fork.

    Raises:
        SettingsError: the settings of the environment are not right.
    """
    settings = settings or load_settings()
    parts = assemble(settings)
    proofs = ProofApi(parts.proofs, parts.store, settings.proof_audience) if parts.proofs else None
    api = OtpApi(parts, settings, proofs)

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.before_request(partial(_identify, settings.trusted_proxies))
    app.after_request(_finish)
    _add_routes(app, api, address_limits(app, parts.client), settings)
    if proofs:
        proofs.add_routes(app)
    refusals.register(app)
    return app


def _add_routes(app: Flask, api: OtpApi, limiter: Limiter, settings: Settings) -> None:
    app.add_url_rule("/", view_func=api.index)
    app.add_url_rule("/healthz", view_func=api.healthz)
    app.add_url_rule("/readyz", view_func=api.readyz)
    send_otp = limiter.limit(str(settings.send_otp_limit))(api.send_otp)
    verify_otp = limiter.limit(str(settings.verify_otp_limit))(api.verify_otp)
    app.add_url_rule("/send-otp", view_func=send_otp, methods=["POST"])
    app.add_url_rule("/verify-otp", view_func=verify_otp, methods=["POST"])


def _identify(trusted_proxies: int) -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else refusals.new_request_id()
    g.address = client_address(request, trusted_proxies)


def _finish(response: Response) -> Response:
    response.headers.add("X-Request-ID", g.request_id)
    response.headers.add("Cache-Control", "no-store")
    response.headers.add("X-Content-Type-Options", "nosniff")
    return response
