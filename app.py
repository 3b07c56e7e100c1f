"""HTTP: the application and its routes."""

import math
from typing import Any

from flask import Flask, Response, request

from assembly import Parts, assemble
from config import Settings, load_settings
from otp import VERSION, errors
from otp.requester import Requester
from otp.send_request import SendRequest
from otp.service import Sent
from otp.telemetry import record
from otp.telemetry.request_log import RequestLog
from otp.typed_text import read_pin
from otp.web import error_responses
from otp.web.address_limits import AddressLimits
from otp.web.api_clients import ApiClients
from otp.web.application import Application
from otp.web.border import Border
from otp.web.cors import allow_origins
from otp.web.delivery_report_api import DeliveryApi
from otp.web.idempotency import Idempotency
from otp.web.proof_api import ProofApi
from otp.web.reference_page import add_docs
from otp.web.request_body import read_body
from otp.web.send_requests import ResendOtp, SendOtp, SendRequestParser, VerifyOtp
from otp.web.verification_api import VerificationApi


class OtpApi:
    """The views."""

    def __init__(self, parts: Parts, settings: Settings, proofs: ProofApi | None) -> None:
        self._service = parts.otp
        self._store = parts.store
        self._parser = SendRequestParser(parts.phones, settings)
        self._proofs = proofs
        self._pin = settings.pin_pattern
        self._needs_verification_id = settings.require_verification_id

    def send_otp(self) -> dict[str, Any]:
        """Answer POST /send-otp."""
        return _sent("OTP sent successfully.", self._service.send(*self._read(SendOtp)))

    def resend_otp(self) -> dict[str, Any]:
        """Answer POST /resend-otp."""
        send_request, verification_id = self._read(ResendOtp)
        self._demand(verification_id)
        return _sent("OTP sent successfully.", self._service.resend(send_request, verification_id))

    def verify_otp(self) -> dict[str, Any]:
        """Answer POST /verify-otp."""
        body = read_body(request, VerifyOtp)
        recipient = self._parser.read_recipient(body)
        pin = read_pin(body.pin, self._pin)
        self._demand(body.verification_id)
        proven = self._service.verify(recipient, pin, _requester(), body.verification_id)
        proof = {"proof": self._proofs.new(proven)} if self._proofs else {}
        return {"message": "OTP verified successfully.", **proof}

    def _read(self, kind: type[ResendOtp]) -> tuple[SendRequest, str | None]:
        body, language = read_body(request, kind), request.environ.get("HTTP_ACCEPT_LANGUAGE")
        return self._parser.read(body, _requester(), language), body.verification_id

    def _demand(self, verification_id: str | None) -> None:
        if self._needs_verification_id and verification_id is None:
            raise errors.InvalidRequest

    def index(self) -> Response:
        """Answer GET /."""
        return Response("Infobip OTP Service Running!", mimetype="text/plain")

    def healthz(self) -> dict[str, Any]:
        """Answer GET /healthz: the process lives."""
        return {"status": "alive"}

    def readyz(self) -> dict[str, Any]:
        """Answer GET /readyz: Redis takes writes."""
        self._store.ping()
        return {"status": "ready", "version": VERSION}


def _requester() -> Requester:
    known = record.current()
    return Requester(known.address, known.client, known.is_client_app)


def _sent(message: str, sent: Sent) -> dict[str, Any]:
    verification = {"verificationId": sent.verification_id} if sent.verification_id else {}
    times = {"expiresIn": int(sent.expires_in), "resendIn": math.ceil(sent.resend_in)}
    return {"message": message, **times, **verification}


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
    clients = ApiClients(settings, parts.redis)

    app = Application(__name__)
    app.wsgi_app = Border(app.wsgi_app, RequestLog(settings), settings.trusted_proxies)  # type: ignore[method-assign]
    _add_routes(app, api, clients, parts, settings)
    if proofs:
        _add_proof_routes(app, proofs, clients)
    _add_tracking_routes(app, clients, parts, settings)
    add_docs(app, page=settings.docs == "on")
    allow_origins(app, settings.cors_origins)
    error_responses.register(app)
    return app


def _add_routes(app: Flask, api: OtpApi, clients: ApiClients, parts: Parts, settings: Settings) -> None:
    app.add_url_rule("/", view_func=api.index)
    app.add_url_rule("/healthz", view_func=api.healthz)
    app.add_url_rule("/readyz", view_func=api.readyz)
    # From the outside in: who asks, how often its address may, how often the client may, was this asked before.
    limited = AddressLimits(app, parts.redis).limited
    idempotent = Idempotency(parts.redis, settings.infobip_timeout).once
    send_otp, resend_otp = (
        limited(settings.send_otp_limit, "send", clients.limited("send", idempotent(view)))
        for view in (api.send_otp, api.resend_otp)
    )
    verify_otp = limited(settings.verify_otp_limit, "verify_otp", clients.limited("verify", api.verify_otp))
    app.add_url_rule("/send-otp", view_func=clients.authenticated(send_otp), methods=["POST"])
    app.add_url_rule("/resend-otp", view_func=clients.authenticated(resend_otp), methods=["POST"])
    app.add_url_rule("/verify-otp", view_func=clients.authenticated(verify_otp), methods=["POST"])


def _add_proof_routes(app: Flask, proofs: ProofApi, clients: ApiClients) -> None:
    app.add_url_rule("/.well-known/jwks.json", view_func=proofs.jwks)
    app.add_url_rule("/proofs/redeem", view_func=clients.authenticated(proofs.redeem), methods=["POST"])


def _add_tracking_routes(app: Flask, clients: ApiClients, parts: Parts, settings: Settings) -> None:
    if settings.named_keys():
        verification = clients.authenticated(VerificationApi(parts.verifications).show)
        app.add_url_rule("/verifications/<verificationId>", view_func=verification)
    if settings.track_delivery:
        take = DeliveryApi(parts.tracker, settings.delivery_reports_secret.get_secret_value(), parts.redis).take
        for rule in ("/infobip/delivery-reports", "/infobip/delivery-reports/<secret>"):
            app.add_url_rule(rule, view_func=take, methods=["POST"])
