"""The sender of an SMS is the one in SENDERS for its region, otherwise that of the template."""

from collections.abc import Callable

import redis

from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.running import Sandbox, Service

SENDERS = '{"US": "12065550100", "default": "Shop"}'


def test_each_region_has_its_sender(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str, email: str
) -> None:
    settings = {"INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    service = start(sandbox.url, SENDERS=SENDERS, **settings)
    calls = "+447400123456"
    assert service.send("+14155552671").status_code == 200
    assert service.send(phone).status_code == 200
    assert service.post("/send-otp", {"phoneNumber": calls, "channel": "voice"}).status_code == 200
    assert service.post("/send-otp", {"email": email}).status_code == 200
    assert [message.sender for message in sandbox.messages] == [
        "12065550100",
        "Shop",
        "InfoSMS",
        "no-reply@infobip.example",
    ]


def test_without_a_default_the_sender_is_that_of_the_template(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, SENDERS='{"us": "12065550100"}')
    assert service.send("+14155552671").status_code == 200
    assert service.send(phone).status_code == 200
    assert [message.sender for message in sandbox.messages] == ["12065550100", "InfoSMS"]
