"""The service from its settings: the one place where its parts are put together."""

from typing import NamedTuple

from config import CONCURRENCY, Settings
from connection import Client, connect
from infobip.account import Account
from infobip.transport import Transport
from infobip_client import InfobipClient
from otp import OtpService, Rules
from phone import PhoneBook
from settings.account import AccountSettings
from spending.admission import Admission
from spending.client_gate import ClientGate
from spending.phone_gate import PhoneGate
from spending.total_gate import TotalGate
from store import Store


class Parts(NamedTuple):
    """What the service is made of. None of it has opened a connection yet."""

    client: Client
    store: Store
    otp: OtpService
    phones: PhoneBook


def assemble(settings: Settings) -> Parts:
    """Make them, in the process that uses them, not before a fork."""
    client = connect(settings.redis_url.get_secret_value())
    store = Store(client)
    admission = Admission(
        client,
        PhoneGate(settings.resend_cooldown, settings.phone_send_limit),
        TotalGate(client, settings.total_send_limit),
        ClientGate(client, {name: of.quota for name, of in settings.client_limits.items() if of.quota}),
    )
    rules = Rules(settings.pin_time_to_live, settings.resend_cooldown, settings.pin_attempts)
    phones = PhoneBook(settings.default_region, settings.allowed_countries)
    return Parts(client, store, OtpService(admission, store, _infobip(settings), rules), phones)


def account(settings: AccountSettings) -> Account:
    """The account at Infobip."""
    return Account(_transport(settings, pool_size=1))


def _infobip(settings: Settings) -> InfobipClient:
    application, message = settings.infobip_2fa_app_id, settings.infobip_2fa_msg_id
    return InfobipClient(
        _transport(settings, CONCURRENCY), application, message, throttle_pause=settings.resend_cooldown
    )


def _transport(settings: AccountSettings, pool_size: int) -> Transport:
    key = settings.infobip_api_key.get_secret_value()
    headers = {"Authorization": f"App {key}", "User-Agent": "infobip-otp"}
    return Transport(settings.infobip_base_url, headers, timeout=settings.infobip_timeout, pool_size=pool_size)
