"""In a real browser: if no message arrived, the page offers the same PIN again, by SMS, by a call or by e-mail."""

import re
from collections.abc import Callable

import pytest
import redis
from playwright.sync_api import Locator, expect

from sandbox.server import EMAIL_MESSAGE_ID
from tests.sandbox.test_page_phone import assert_accessible
from tests.support.browser import Screen
from tests.support.running import Sandbox, Service

Visit = Callable[..., Screen]
OFFER = "Nothing arrived? The same PIN can be sent again."
SHORT = {"INFOBIP_TIMEOUT": "2s", "RESEND_COOLDOWN": "2100ms", "RESEND_BACKOFF": "2100ms,30s"}


@pytest.fixture
def service(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """A service with every channel and a short first cooldown."""
    channels = {"INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    return start(sandbox.url, **SHORT, **channels)


def offer(screen: Screen) -> Locator:
    return screen.page.get_by_role("group", name=OFFER)


def offered_ways(screen: Screen) -> list[str]:
    """Wait for the offer and return the texts of its buttons."""
    expect(offer(screen)).to_be_visible()
    return offer(screen).get_by_role("button").all_inner_texts()


def result(screen: Screen) -> Locator:
    return screen.page.locator("#send-result")


def test_a_call_repeats_the_pin_of_the_sms(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    screen.send(phone)
    expect(screen.send_button).to_have_text(re.compile(r"Send again in 0:0\d"))
    expect(offer(screen)).to_be_hidden()
    assert offered_ways(screen) == ["Send it again", "Call me instead"]
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
    request = screen.wire.locator("pre").first
    expect(request).to_contain_text("POST /resend-otp")
    expect(request).to_contain_text(f'{{"phoneNumber":"{phone}","channel":"voice","verificationId":"')
    screen.verify(screen.read_pin())
    expect(screen.page.get_by_text(f"{phone} is verified.").first).to_be_visible()
    screen.page.clock.fast_forward(30_000)
    expect(screen.send_button).to_have_text("Send a new PIN")
    expect(offer(screen)).to_be_hidden()


def test_an_email_can_be_sent_again_with_the_same_pin(visit: Visit, sandbox: Sandbox) -> None:
    screen, address = visit(), "Ada+otp@EXAMPLE.org"
    screen.send(address)
    expect(screen.messages).to_contain_text(
        ["From\nno-reply@infobip.example\nTo\nAda+otp@example.org"], use_inner_text=True
    )
    expect(screen.messages).to_contain_text(["Your verification code"])
    assert offered_ways(screen) == ["Send it again"]
    offer(screen).get_by_role("button", name="Send it again").click()
    expect(result(screen)).to_have_text(f"The same PIN is on its way to {address}.")
    expect(screen.messages).to_have_count(2)
    assert len(set(sandbox.pins("Ada+otp@example.org"))) == 1
    screen.verify(screen.read_pin())
    expect(screen.page.get_by_text(f"{address} is verified.").first).to_be_visible()


def test_a_number_that_receives_no_sms_can_be_called(visit: Visit) -> None:
    screen = visit()
    screen.send("+14155550109")
    expect(result(screen)).to_contain_text("on its way")
    offer(screen).get_by_role("button", name="Call me instead").click()
    expect(screen.messages).to_have_count(1)
    expect(screen.messages).to_contain_text(["Call from"])


def test_a_verified_pin_is_no_longer_offered(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    """After another tab verified the PIN, the service refuses the resend, and the person can request a new PIN."""
    first, second = visit(), visit()
    first.send(phone)
    assert offered_ways(first)
    second.recipient.fill(phone)
    second.verify(second.read_pin())
    expect(second.page.get_by_text(f"{phone} is verified.").first).to_be_visible()
    offer(first).get_by_role("button", name="Send it again").click()
    expect(result(first)).to_have_text("Invalid or expired OTP.")
    expect(offer(first)).to_be_hidden()
    expect(first.send_button).to_be_focused()
    expect(first.send_button).to_have_text("Send a new PIN")
    assert len(sandbox.pins(phone)) == 1


def test_an_invalid_recipient_is_reported_at_the_field(visit: Visit) -> None:
    screen = visit()
    screen.send("ada@")
    expect(screen.recipient).to_have_attribute("aria-invalid", "true")
    expect(screen.recipient).to_be_focused()
    expect(screen.page.locator("#recipient-error")).not_to_be_empty()


def test_the_offer_and_calls_and_emails_are_accessible(visit: Visit, phone: str) -> None:
    screen = visit(reduced_motion="reduce")
    screen.send(phone)
    offer(screen).get_by_role("button", name="Call me instead").click()
    expect(screen.messages).to_have_count(2)
    screen.page.clock.fast_forward(30_000)
    assert offered_ways(screen) == ["Call me again", "Send an SMS instead"]
    assert_accessible(screen)
    screen.send("a.very.long.name.of.somebody@a-domain-that-is-long-as-well.example.org")
    expect(screen.messages).to_contain_text(["E-mail"])
    assert offered_ways(screen) == ["Send it again"]
    assert_accessible(screen)
