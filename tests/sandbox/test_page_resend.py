"""What the page offers if no message arrived: the same PIN again, by SMS, by a call or by e-mail. In a real browser."""

import re
from collections.abc import Callable

import pytest
import redis
from playwright.sync_api import Locator, expect

from sandbox.server import EMAIL_MESSAGE_ID
from tests.sandbox.test_page_phone import everybody_can_use
from tests.support.browser import Screen
from tests.support.running import Sandbox, Service

Visit = Callable[..., Screen]
OFFER = "Nothing arrived? The same PIN can be sent again."
SHORT = {"INFOBIP_TIMEOUT": "2s", "RESEND_COOLDOWN": "2100ms", "RESEND_BACKOFF": "2100ms,30s"}


@pytest.fixture
def service(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """With every channel, and a short first cooldown."""
    channels = {"INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    return start(sandbox.url, **SHORT, **channels)


def offer(screen: Screen) -> Locator:
    return screen.page.get_by_role("group", name=OFFER)


def ways(screen: Screen) -> list[str]:
    """What is offered, once it is."""
    expect(offer(screen)).to_be_visible()
    return offer(screen).get_by_role("button").all_inner_texts()


def result(screen: Screen) -> Locator:
    return screen.page.locator("#send-result")


def test_who_got_no_sms_is_called_with_the_same_pin(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    screen.send(phone)
    expect(screen.send_button).to_have_text(re.compile(r"Send again in 0:0\d"))
    expect(offer(screen)).to_be_hidden()
    assert ways(screen) == ["Send it again", "Call me instead"]
    expect(screen.page.locator("#announcer")).to_have_text(OFFER)
    offer(screen).get_by_role("button", name="Call me instead").click()
    expect(result(screen)).to_have_text(f"A call with the same PIN is on its way to {phone}.")
    expect(offer(screen)).to_be_hidden()
    expect(screen.send_button).to_have_text(re.compile(r"Send again in 0:(30|2\d)"))
    expect(screen.pin).to_be_focused()
    expect(screen.messages).to_have_count(2)
    sms, call = screen.messages.all()
    expect(call).to_contain_text("Call from InfoSMS")
    expect(call).to_contain_text("Transcript")
    assert call.locator(".digits").inner_text() == sms.locator(".digits").inner_text() == sandbox.pin(phone)
    expect(sms.get_by_text("A newer PIN was sent")).to_be_hidden()
    asked = screen.wire.locator("pre").first
    expect(asked).to_contain_text("POST /resend-otp")
    expect(asked).to_contain_text(f'{{"phoneNumber":"{phone}","channel":"voice","verificationId":"')
    screen.verify(screen.read_pin())
    expect(screen.page.get_by_text(f"{phone} is verified.").first).to_be_visible()
    screen.page.clock.fast_forward(30_000)
    expect(screen.send_button).to_have_text("Send a new PIN")
    expect(offer(screen)).to_be_hidden()


def test_an_email_can_come_again_and_is_one(visit: Visit, sandbox: Sandbox) -> None:
    screen, address = visit(), "Ada+otp@EXAMPLE.org"
    screen.send(address)
    expect(screen.messages).to_contain_text(
        ["From\nno-reply@infobip.example\nTo\nAda+otp@example.org"], use_inner_text=True
    )
    expect(screen.messages).to_contain_text(["Your verification code"])
    assert ways(screen) == ["Send it again"]
    offer(screen).get_by_role("button", name="Send it again").click()
    expect(result(screen)).to_have_text(f"The same PIN is on its way to {address}.")
    expect(screen.messages).to_have_count(2)
    assert len(set(sandbox.pins("Ada+otp@example.org"))) == 1
    screen.verify(screen.read_pin())
    expect(screen.page.get_by_text(f"{address} is verified.").first).to_be_visible()


def test_the_number_that_gets_no_sms_can_be_called(visit: Visit) -> None:
    screen = visit()
    screen.send("+14155550109")
    expect(result(screen)).to_contain_text("on its way")
    offer(screen).get_by_role("button", name="Call me instead").click()
    expect(screen.messages).to_have_count(1)
    expect(screen.messages).to_contain_text(["Call from"])


def test_a_pin_that_is_gone_is_not_offered_any_longer(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    """Where another tab verified it, the service says no, and the person can have a new one."""
    first, second = visit(), visit()
    first.send(phone)
    assert ways(first)
    second.recipient.fill(phone)
    second.verify(second.read_pin())
    expect(second.page.get_by_text(f"{phone} is verified.").first).to_be_visible()
    offer(first).get_by_role("button", name="Send it again").click()
    expect(result(first)).to_have_text("Invalid or expired OTP.")
    expect(offer(first)).to_be_hidden()
    expect(first.send_button).to_be_focused()
    expect(first.send_button).to_have_text("Send a new PIN")
    assert len(sandbox.pins(phone)) == 1


def test_what_is_neither_number_nor_address_is_told_at_the_field(visit: Visit) -> None:
    screen = visit()
    screen.send("ada@")
    expect(screen.recipient).to_have_attribute("aria-invalid", "true")
    expect(screen.recipient).to_be_focused()
    expect(screen.page.locator("#recipient-error")).not_to_be_empty()


def test_everybody_can_use_the_offer_and_read_calls_and_emails(visit: Visit, phone: str) -> None:
    screen = visit(reduced_motion="reduce")
    screen.send(phone)
    offer(screen).get_by_role("button", name="Call me instead").click()
    expect(screen.messages).to_have_count(2)
    screen.page.clock.fast_forward(30_000)
    assert ways(screen) == ["Call me again", "Send an SMS instead"]
    everybody_can_use(screen)
    screen.send("a.very.long.name.of.somebody@a-domain-that-is-long-as-well.example.org")
    expect(screen.messages).to_contain_text(["E-mail"])
    assert ways(screen) == ["Send it again"]
    everybody_can_use(screen)
