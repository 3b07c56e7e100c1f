"""Puts the parts of the service together, and hangs them on their routes."""

from functools import partial
from typing import NamedTuple

from flask import Flask

from config import CONCURRENCY, AccountSettings, Settings, load_settings
from infobip_client import InfobipClient, SendOptions
from otp import USER_AGENT
from otp.alerts.alerts import Alerts
from otp.alerts.counts import GUARD_REFUSAL, LOCKED_OUT, FailedVerifies, Rates
from otp.alerts.sender import Sender
from otp.alerts.webhook import Webhook, signing_key
from otp.challenges import VENDORS, Challenges
from otp.delivery.charges import Charges
from otp.delivery.sent_messages import SentMessages
from otp.delivery.tracker import Tracker
from otp.delivery.verifications import Verifications
from otp.fixed_codes import FixedCodes
from otp.http_client.proxy import Proxy
from otp.infobip.account import Account
from otp.infobip.transport import Transport
from otp.languages import by_purpose
from otp.phone_numbers import PhoneBook
from otp.ports import PinProvider
from otp.proofs import Proofs
from otp.redis.client import RedisClient, connect
from otp.response_padding import ResponsePadding
from otp.send_limits.budget import Budget, day, month
from otp.send_limits.chain import SendLimits
from otp.send_limits.fraud_guard.fraud_guard import FraudGuard
from otp.send_limits.operator_rules import OperatorRules
from otp.send_limits.quota import Quota, counts
from otp.send_limits.recipient_limit import RecipientLimit, end_cooldown
from otp.service import OtpService, Rules
from otp.telemetry.request_log import RequestLog
from otp.web import error_responses
from otp.web.address_limits import AddressLimits
from otp.web.api_clients import ApiClients
from otp.web.application import Application
from otp.web.border import Border
from otp.web.cors import allow_origins
from otp.web.delivery_report_api import PATH as DELIVERY_REPORTS
from otp.web.delivery_report_api import DeliveryApi
from otp.web.health_api import HealthApi
from otp.web.idempotency import Idempotency
from otp.web.pin_api import PinApi
from otp.web.proof_api import ProofApi
from otp.web.reference_page import add_docs
from otp.web.send_requests import SendRequestParser
from otp.web.verification_api import VerificationApi
from store import GuessLimits, Store

SEND_OTP, RESEND_OTP, VERIFY_OTP = "/send-otp", "/resend-otp", "/verify-otp"


class Parts(NamedTuple):
    """The parts of the service. None of them has opened a connection yet."""

    redis: RedisClient
    alerts: Alerts
    send_limits: SendLimits
    store: Store
    otp: OtpService
    parser: SendRequestParser
    tracker: Tracker
    verifications: Verifications | None  # None where no client has a key to ask with
    proofs: Proofs | None


def build(settings: Settings) -> Parts:
    """Put the parts together. Call it in the process that uses them, not before a fork."""
    redis = connect(settings.redis_url.get_secret_value(), settings.key_prefix)
    alerts = _alerts(settings, redis)
    on_suspicion = partial(alerts.count, GUARD_REFUSAL)
    guard = FraudGuard(redis, settings.fraud_guard, settings.allowances, settings.pin_time_to_live, on_suspicion)
    verifications = Verifications(redis) if settings.named_keys else None
    guesses = GuessLimits(settings.pin_attempts, settings.phone_failure_limit, settings.guard_known)
    store = Store(redis, guesses)
    tracker = _tracker(settings, redis, alerts, guard, verifications)
    padding = ResponsePadding(longest=settings.infobip_timeout if settings.uniform_verify_time else 0)
    send_limits = _send_limits(settings, redis, alerts, guard)
    otp = OtpService(
        send_limits,
        store,
        _provider(settings, alerts, padding),
        _rules(settings),
        padding,
        tracker,
        on_locked_out=partial(alerts.count, LOCKED_OUT),
    )
    return Parts(redis, alerts, send_limits, store, otp, _parser(settings), tracker, verifications, _proofs(settings))


def _tracker(
    settings: Settings, redis: RedisClient, alerts: Alerts, guard: FraudGuard, verifications: Verifications | None
) -> Tracker:
    messages = SentMessages(redis, settings.pin_time_to_live)
    charges = Charges(settings.prices.currency, settings.prices.of, alerts.prices_differ)
    return Tracker(messages, verifications, guard.pin_verified, partial(end_cooldown, redis), charges)


def _rules(settings: Settings) -> Rules:
    return Rules(settings.pin_time_to_live, settings.cooldowns, settings.send_again)


def _send_limits(settings: Settings, redis: RedisClient, alerts: Alerts, guard: FraudGuard) -> SendLimits:
    total = counts(settings.total_send_limit, settings.total_email_limit)
    of_clients = {client: counts(quota, quota, client) for client, quota in settings.client_quotas.items()}
    return SendLimits(
        redis,
        OperatorRules(),
        RecipientLimit(_rules(settings).cooldown, settings.phone_send_limit, settings.phone_send_share),
        Quota({}, total, alerts.limit_reached),
        *_budgets(settings, alerts),
        Quota(of_clients, {}, alerts.limit_reached),
        *guard.limits,
        prices=settings.prices,
    )


def create_app(settings: Settings | None = None) -> Flask:
    """Build the service from `settings`, or from those of the environment.

    Opens no connection yet. Call it in the process that serves, not before a fork.

    Raises:
        SettingsError: the settings of the environment are not right.
    """
    settings = settings or load_settings()
    parts = build(settings)
    proofs = ProofApi(parts.proofs, parts.store.redeem, settings.proof_audience) if parts.proofs else None
    needs_id, challenges = settings.require_verification_id, _challenges(settings)
    pins = PinApi(parts.otp, parts.parser, settings.pin_pattern, needs_id, proofs, challenges)

    app = Application(__name__)
    app.wsgi_app = Border(app.wsgi_app, _request_log(settings, parts.alerts), settings.trusted_proxies)  # type: ignore[method-assign]
    _add_open_routes(app, proofs, parts, settings)
    _add_client_routes(app, pins, proofs, parts, settings)
    add_docs(app, page=settings.docs == "on")
    allow_origins(app, settings.cors_origins, (SEND_OTP, RESEND_OTP, VERIFY_OTP))
    error_responses.register(app)
    return app


def _request_log(settings: Settings, alerts: Alerts) -> RequestLog:
    budgets = {"day": float(settings.daily_budget), "month": float(settings.monthly_budget)}
    salt = settings.log_salt.get_secret_value()
    return RequestLog(salt, alerts.verify_failed, settings.prices.currency, budgets)


def _add_open_routes(app: Flask, proofs: ProofApi | None, parts: Parts, settings: Settings) -> None:
    """The routes that no client app needs a key for. Infobip's reports have a secret of their own."""
    health = HealthApi(parts.store.ping)
    app.add_url_rule("/", view_func=health.index)
    app.add_url_rule("/healthz", view_func=health.healthz)
    app.add_url_rule("/readyz", view_func=health.readyz)
    if proofs:
        app.add_url_rule("/.well-known/jwks.json", view_func=proofs.jwks)
    if settings.track_delivery:
        take = DeliveryApi(parts.tracker, settings.delivery_reports_secret.get_secret_value(), parts.redis).take
        for rule in (DELIVERY_REPORTS, f"{DELIVERY_REPORTS}/<secret>"):
            app.add_url_rule(rule, view_func=take, methods=["POST"])


def _add_client_routes(app: Flask, pins: PinApi, proofs: ProofApi | None, parts: Parts, settings: Settings) -> None:
    """The routes that a client app needs its key for, where API_KEYS has any."""
    clients = ApiClients(settings.named_keys, settings.client_limits, parts.redis)
    limited = AddressLimits(app, parts.redis).limited
    idempotent = Idempotency(parts.redis, settings.infobip_timeout).once
    # From the outside in: API key, limit of the address, rate of the client app, Idempotency-Key.
    send = limited(settings.send_otp_limit, "send", clients.limited("send", idempotent(pins.send_otp)))
    resend = limited(settings.send_otp_limit, "send", clients.limited("send", idempotent(pins.resend_otp)))
    verify = limited(settings.verify_otp_limit, "verify_otp", clients.limited("verify", pins.verify_otp))
    routes = [("POST", SEND_OTP, send), ("POST", RESEND_OTP, resend), ("POST", VERIFY_OTP, verify)]
    if proofs:
        routes.append(("POST", "/proofs/redeem", proofs.redeem))
    if parts.verifications:
        routes.append(("GET", "/verifications/<verificationId>", VerificationApi(parts.verifications).show))
    for method, rule, view in routes:
        app.add_url_rule(rule, view_func=clients.authenticated(view), methods=[method])


def account(settings: AccountSettings) -> Account:
    """The account at Infobip."""
    return Account(_transport(settings, pool_size=1))


def _parser(settings: Settings) -> SendRequestParser:
    refused = settings.refused_number_types
    by_call = settings.voice_refused_number_types or refused
    phones = PhoneBook(settings.default_region, settings.allowed_countries, refused, by_call)
    templates = by_purpose(settings.infobip_templates, settings.templates)
    channels = settings.templates.keys()
    return SendRequestParser(phones, channels, templates, settings.allowed_placeholders, settings.senders)


def _alerts(settings: Settings, redis: RedisClient) -> Alerts:
    url, secret = settings.alert_webhook_url, settings.alert_webhook_secret.get_secret_value()
    webhook = Webhook(url, signing_key(secret)) if url else None
    return Alerts(Sender(redis, webhook), Rates(redis), FailedVerifies(redis))


def _budgets(settings: Settings, alerts: Alerts) -> list[Budget]:
    """The month's comes first: if both are used up, its Retry-After is correct."""
    prices, periods = settings.prices, reversed([*zip((day, month), settings.budgets, strict=True)])
    on_threshold = partial(alerts.budget_threshold, prices.currency)
    return [Budget(period, amount, prices, on_threshold) for period, amount in periods if amount]


def _proofs(settings: Settings) -> Proofs | None:
    key, old_keys = settings.proof_signing_key.get_secret_value(), settings.proof_old_keys.get_secret_value()
    return Proofs(key, old_keys, settings.proof_issuer) if key else None


def _provider(settings: Settings, alerts: Alerts, padding: ResponsePadding) -> PinProvider:
    infobip, codes, end = _infobip(settings, alerts), settings.fixed_codes, settings.fixed_codes_end
    return FixedCodes(infobip, codes, end, settings.pin_spelling, padding.wait) if codes else infobip


def _challenges(settings: Settings) -> Challenges | None:
    if not settings.challenge:
        return None
    secret = settings.challenge_secret.get_secret_value()
    return Challenges(VENDORS[settings.challenge], secret, settings.challenge_hostnames, settings.challenge_url)


def _infobip(settings: Settings, alerts: Alerts) -> InfobipClient:
    return InfobipClient(
        _transport(settings, 2 * CONCURRENCY),
        settings.infobip_2fa_app_id,
        throttle_pause=settings.cooldowns[0],
        concurrency=CONCURRENCY,
        alerts=alerts,
        options=SendOptions(settings.track_delivery, settings.number_lookup == "on"),
        pin_spelling=settings.pin_spelling,
    )


def _transport(settings: AccountSettings, pool_size: int) -> Transport:
    key = settings.infobip_api_key.get_secret_value()
    headers = {"Authorization": f"App {key}", "User-Agent": USER_AGENT}
    proxy = settings.infobip_proxy.get_secret_value()
    return Transport(
        settings.infobip_base_url,
        headers,
        timeout=settings.infobip_timeout,
        pool_size=pool_size,
        proxy=Proxy(proxy) if proxy else None,
        authorities=settings.infobip_ca,
    )
