"""The service from its settings: the one place where its parts are put together."""

from functools import partial
from typing import NamedTuple

from config import CONCURRENCY, AccountSettings, Settings
from infobip_client import InfobipClient
from otp.alerts.alerts import Alerts
from otp.alerts.rates import GUARD_REFUSAL, LOCKED_OUT, Rates
from otp.alerts.sender import Sender
from otp.alerts.webhook import Webhook, signing_key
from otp.delivery.sent_messages import SentMessages
from otp.delivery.tracker import Tracker
from otp.delivery.verifications import Verifications
from otp.infobip.account import Account
from otp.infobip.proxy import Proxy
from otp.infobip.transport import Transport
from otp.languages import Templates
from otp.phone_numbers import PhoneBook
from otp.proofs import Proofs
from otp.redis.client import RedisClient, connect
from otp.response_padding import ResponsePadding
from otp.send_limits.budget import Budget, day, month
from otp.send_limits.chain import SendLimits
from otp.send_limits.client_quotas import ClientQuotas
from otp.send_limits.fraud_guard.fraud_guard import FraudGuard
from otp.send_limits.quota import Quota
from otp.send_limits.recipient_limit import RecipientLimit, end_cooldown
from otp.service import OtpService, Rules
from otp.web.send_requests import SendRequestParser
from store import GuessLimits, Store


class Parts(NamedTuple):
    """What the service is made of. None of it has opened a connection yet."""

    redis: RedisClient
    store: Store
    otp: OtpService
    parser: SendRequestParser
    tracker: Tracker
    verifications: Verifications | None  # None where no client has a key to ask with
    proofs: Proofs | None


def assemble(settings: Settings) -> Parts:
    """Make them, in the process that uses them, not before a fork."""
    redis = connect(settings.redis_url.get_secret_value(), settings.key_prefix)
    limits = GuessLimits(settings.pin_attempts, settings.phone_failure_limit, settings.guard_known)
    verifications = Verifications(redis) if settings.named_keys else None
    store = Store(redis, limits, keeps_status=verifications is not None)
    alerts = _alerts(settings, redis)
    guard = FraudGuard(
        redis,
        settings.fraud_guard,
        settings.allowances,
        settings.pin_time_to_live,
        partial(alerts.count, GUARD_REFUSAL),
    )
    rules = Rules(settings.pin_time_to_live, settings.cooldowns, settings.send_again)
    send_limits = SendLimits(
        redis,
        RecipientLimit(rules.cooldown, settings.phone_send_limit, settings.phone_send_share),
        Quota(settings.total_send_limit, settings.total_email_limit, alerts.limit_reached),
        *_budgets(settings, alerts),
        ClientQuotas(settings.client_quotas, alerts.limit_reached),
        *guard.limits,
        prices=settings.prices,
    )
    response_padding = ResponsePadding(longest=settings.infobip_timeout if settings.uniform_verify_time else 0)
    messages = SentMessages(redis, settings.pin_time_to_live)
    tracker = Tracker(messages, verifications, guard.pin_verified, partial(end_cooldown, redis))
    provider, locked_out = _infobip(settings, alerts), partial(alerts.count, LOCKED_OUT)
    otp = OtpService(send_limits, store, provider, rules, response_padding, tracker, locked_out)
    return Parts(redis, store, otp, _parser(settings), tracker, verifications, _proofs(settings))


def account(settings: AccountSettings) -> Account:
    """The account at Infobip."""
    return Account(_transport(settings, pool_size=1))


def _parser(settings: Settings) -> SendRequestParser:
    refused = settings.refused_number_types
    by_call = settings.voice_refused_number_types or refused
    phones = PhoneBook(settings.default_region, settings.allowed_countries, refused, by_call)
    of_languages = Templates(settings.infobip_templates)
    return SendRequestParser(phones, settings.templates, of_languages, settings.allowed_placeholders)


def _alerts(settings: Settings, redis: RedisClient) -> Alerts:
    url, secret = settings.alert_webhook_url, settings.alert_webhook_secret.get_secret_value()
    webhook = Webhook(url, signing_key(secret)) if url else None
    return Alerts(Sender(redis, webhook), Rates(redis))


def _budgets(settings: Settings, alerts: Alerts) -> list[Budget]:
    """The month's before the day's: where both are used up, its Retry-After is the true one."""
    prices, periods = settings.prices, reversed([*zip((day, month), settings.budgets, strict=True)])
    on_threshold = partial(alerts.budget_threshold, prices.currency)
    return [Budget(period, amount, prices, on_threshold) for period, amount in periods if amount]


def _proofs(settings: Settings) -> Proofs | None:
    key, old_keys = settings.proof_signing_key.get_secret_value(), settings.proof_old_keys.get_secret_value()
    return Proofs(key, old_keys, settings.proof_issuer) if key else None


def _infobip(settings: Settings, alerts: Alerts) -> InfobipClient:
    return InfobipClient(
        _transport(settings, 2 * CONCURRENCY),
        settings.infobip_2fa_app_id,
        throttle_pause=settings.cooldowns[0],
        concurrency=CONCURRENCY,
        events=alerts,
        track_delivery=settings.track_delivery,
        pin_spelling=settings.pin_spelling,
    )


def _transport(settings: AccountSettings, pool_size: int) -> Transport:
    key = settings.infobip_api_key.get_secret_value()
    headers = {"Authorization": f"App {key}", "User-Agent": "infobip-otp"}
    proxy = settings.infobip_proxy.get_secret_value()
    return Transport(
        settings.infobip_base_url,
        headers,
        timeout=settings.infobip_timeout,
        pool_size=pool_size,
        proxy=Proxy(proxy) if proxy else None,
        authorities=settings.infobip_ca,
    )
