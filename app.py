"""The application: its parts hung on their routes."""

from flask import Flask

from assembly import Parts, assemble
from config import Settings, load_settings
from otp.telemetry.request_log import RequestLog
from otp.web import error_responses
from otp.web.address_limits import AddressLimits
from otp.web.api_clients import ApiClients
from otp.web.application import Application
from otp.web.border import Border
from otp.web.cors import allow_origins
from otp.web.delivery_report_api import DeliveryApi
from otp.web.health_api import HealthApi
from otp.web.idempotency import Idempotency
from otp.web.pin_api import PinApi
from otp.web.proof_api import ProofApi
from otp.web.reference_page import add_docs
from otp.web.verification_api import VerificationApi

SEND_OTP, RESEND_OTP, VERIFY_OTP = "/send-otp", "/resend-otp", "/verify-otp"


def create_app(settings: Settings | None = None) -> Flask:
    """Build the service from `settings`, or from those of the environment.

    Opens no connection yet. Call it in the process that serves, not before a fork.

    Raises:
        SettingsError: the settings of the environment are not right.
    """
    settings = settings or load_settings()
    parts = assemble(settings)
    proofs = ProofApi(parts.proofs, parts.store.redeem, settings.proof_audience) if parts.proofs else None
    pins = PinApi(parts.otp, parts.parser, settings.pin_pattern, settings.require_verification_id, proofs)
    clients = ApiClients(settings.named_keys, settings.client_limits, parts.redis)

    app = Application(__name__)
    budgets = {"day": float(settings.daily_budget), "month": float(settings.monthly_budget)}
    request_log = RequestLog(settings.log_salt.get_secret_value(), settings.prices.currency, budgets)
    app.wsgi_app = Border(app.wsgi_app, request_log, settings.trusted_proxies)  # type: ignore[method-assign]
    _add_health_routes(app, HealthApi(parts.store.ping))
    _add_pin_routes(app, pins, clients, parts, settings)
    if proofs:
        _add_proof_routes(app, proofs, clients)
    _add_tracking_routes(app, clients, parts, settings)
    add_docs(app, page=settings.docs == "on")
    allow_origins(app, settings.cors_origins, (SEND_OTP, RESEND_OTP, VERIFY_OTP))
    error_responses.register(app)
    return app


def _add_health_routes(app: Flask, health: HealthApi) -> None:
    app.add_url_rule("/", view_func=health.index)
    app.add_url_rule("/healthz", view_func=health.healthz)
    app.add_url_rule("/readyz", view_func=health.readyz)


def _add_pin_routes(app: Flask, pins: PinApi, clients: ApiClients, parts: Parts, settings: Settings) -> None:
    # From the outside in: API key, limit of the address, rate of the client app, Idempotency-Key.
    limited = AddressLimits(app, parts.redis).limited
    idempotent = Idempotency(parts.redis, settings.infobip_timeout).once
    views = {
        SEND_OTP: limited(settings.send_otp_limit, "send", clients.limited("send", idempotent(pins.send_otp))),
        RESEND_OTP: limited(settings.send_otp_limit, "send", clients.limited("send", idempotent(pins.resend_otp))),
        VERIFY_OTP: limited(settings.verify_otp_limit, "verify_otp", clients.limited("verify", pins.verify_otp)),
    }
    for rule, view in views.items():
        app.add_url_rule(rule, view_func=clients.authenticated(view), methods=["POST"])


def _add_proof_routes(app: Flask, proofs: ProofApi, clients: ApiClients) -> None:
    app.add_url_rule("/.well-known/jwks.json", view_func=proofs.jwks)
    app.add_url_rule("/proofs/redeem", view_func=clients.authenticated(proofs.redeem), methods=["POST"])


def _add_tracking_routes(app: Flask, clients: ApiClients, parts: Parts, settings: Settings) -> None:
    if parts.verifications:
        verification = clients.authenticated(VerificationApi(parts.verifications).show)
        app.add_url_rule("/verifications/<verificationId>", view_func=verification)
    if settings.track_delivery:
        take = DeliveryApi(parts.tracker, settings.delivery_reports_secret.get_secret_value(), parts.redis).take
        for rule in ("/infobip/delivery-reports", "/infobip/delivery-reports/<secret>"):
            app.add_url_rule(rule, view_func=take, methods=["POST"])
