"""`channels` lists the channels that the next message may be requested for, and none that the service would refuse."""

import json
from collections.abc import Callable

import pytest
import redis

from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.running import Sandbox, Service, refusal
from tests.web.test_resend import resend, wait_over

Start = Callable[..., Service]
LANDLINE, VOIP = "+442071838750", "+33912345678"
NOT_CALLABLE = "+989444012345"


def offered(service: Service, phone: str) -> list[str]:
    channels: list[str] = service.send(phone).json()["channels"]
    return channels


def test_a_resend_lists_channels_and_a_replay_repeats_them(service: Service, database: redis.Redis, phone: str) -> None:
    first = service.send(phone, headers={"Idempotency-Key": "channels-1"})
    assert first.json()["channels"] == ["sms", "voice"]
    assert service.send(phone, headers={"Idempotency-Key": "channels-1"}).json() == first.json()
    wait_over(database)
    assert resend(service, phone, channel="voice").json()["channels"] == ["sms", "voice"]


def test_an_e_mail_address_is_offered_only_e_mail(every_channel: Service, email: str) -> None:
    assert every_channel.post("/send-otp", {"email": email}).json()["channels"] == ["email"]


def test_number_types_decide_as_they_do_at_the_next_request(
    start: Start, database: redis.Redis, sandbox: Sandbox
) -> None:
    service = start(sandbox.url, REFUSED_NUMBER_TYPES="FIXED_LINE", VOICE_REFUSED_NUMBER_TYPES="VOIP")
    assert offered(service, VOIP) == ["sms"]
    call = service.post("/send-otp", {"phoneNumber": LANDLINE, "channel": "voice"})
    assert call.json()["channels"] == ["voice"]
    wait_over(database)
    assert refusal(resend(service, LANDLINE)) == (400, "phone_number_not_allowed")


@pytest.mark.parametrize("channels", ["sms", "sms,email"])
def test_only_what_is_configured_is_offered(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str, channels: str
) -> None:
    service = start(sandbox.url, ALLOWED_CHANNELS=channels, INFOBIP_2FA_EMAIL_MSG_ID=EMAIL_MESSAGE_ID)
    assert offered(service, phone) == ["sms"]


def test_a_call_that_the_budget_cannot_pay_is_not_offered(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    prices = {name: json.dumps({"currency": "EUR", "default": price}) for name, price in (("SMS", 0.1), ("VOICE", 0.5))}
    service = start(sandbox.url, SMS_PRICES=prices["SMS"], VOICE_PRICES=prices["VOICE"], DAILY_BUDGET="0.7")
    assert offered(service, phone) == ["sms", "voice"]
    wait_over(database)
    assert resend(service, phone).json()["channels"] == ["sms", "voice"]
    wait_over(database)
    assert resend(service, phone).json()["channels"] == ["sms"]
    wait_over(database)
    assert refusal(resend(service, phone, channel="voice")) == (503, "budget_exhausted")
    assert resend(service, phone).json()["channels"] == ["sms"], "what was refused took nothing"


def test_a_number_that_cannot_be_called_from_abroad_is_not_offered_a_call(service: Service) -> None:
    assert offered(service, NOT_CALLABLE) == ["sms"]
