"""The sandbox's page: a person sends, reads the PIN on the phone and verifies, in a real browser."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from sandbox.free_port import free_port
from tests.support.browser import Screen
from tests.support.running import LAX, Sandbox, Service, other_pin

Visit = Callable[..., Screen]


def test_a_person_sends_reads_the_pin_and_verifies(visit: Visit, phone: str) -> None:
    screen = visit()
    expect(screen.page.get_by_text("No messages yet")).to_be_visible()
    screen.send(phone)
    expect(screen.messages).to_contain_text(["Pending"])
    expect(screen.messages).to_contain_text(re.compile(r"(10:00|9:5\d) left"))
    expect(screen.thread(phone)).to_have_attribute("aria-selected", "true")
    expect(screen.page.get_by_text("No messages yet")).to_be_hidden()
    expect(screen.pin).to_be_focused()
    expect(screen.pin).to_have_value("")
    expect(screen.pin).to_have_attribute("autocomplete", "one-time-code")
    expect(screen.pin).to_have_attribute("inputmode", "numeric")
    expect(screen.page.locator("#pin-hint")).to_contain_text(re.compile(r"another (10:00|9:5\d)"))
    screen.verify(screen.read_pin())
    expect(screen.page.get_by_text(f"{phone} is verified.").first).to_be_visible()
    expect(screen.messages).to_contain_text(["Verified"])
    expect(screen.page.locator("#pin-hint")).to_be_hidden()


def test_the_wire_shows_request_and_response(visit: Visit, phone: str) -> None:
    screen = visit()
    screen.send(phone)
    expect(screen.wire.locator("summary")).to_have_text(["POST /send-otp → 200 OK"])
    request, answer = screen.wire.locator("pre").all_inner_texts()
    assert request.startswith("POST /send-otp HTTP/1.1\n")
    assert request.endswith(f'\n\n{{"phoneNumber":"{phone}"}}')
    assert answer.startswith("HTTP/1.1 200 OK\n")
    assert (
        '\n\n{"message":"OTP sent successfully.","expiresIn":600,"resendIn":30,"channels":["sms","voice"],"' in answer
    )


def test_a_wrong_pin_is_reported_at_its_field(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    screen.send(phone)
    screen.copy_button.wait_for()
    screen.verify(other_pin(sandbox.pin(phone)))
    expect(screen.pin).to_have_attribute("aria-invalid", "true")
    expect(screen.pin).to_have_accessible_description(re.compile("^Invalid or expired OTP."))
    expect(screen.messages).to_contain_text(["1 of 1000 attempts used"])
    expect(screen.wire.locator("pre").nth(1)).to_contain_text('"code":"invalid_otp"')
    screen.pin.press("1")
    expect(screen.pin).not_to_have_attribute("aria-invalid", "true")
    screen.verify("12")
    expect(screen.pin).to_have_accessible_description(re.compile("^Invalid PIN format."))


def test_an_invalid_number_is_reported_at_its_field(visit: Visit) -> None:
    screen = visit()
    screen.send("12")
    expect(screen.recipient).to_have_attribute("aria-invalid", "true")
    expect(screen.recipient).to_have_accessible_description(re.compile("^Invalid phone number."))
    expect(screen.recipient).to_be_focused()


def test_the_last_attempt_uses_up_the_pin(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    sandbox.reset(LAX.copy_with({"pin_attempts": 1}))
    screen = visit()
    screen.send(phone)
    screen.copy_button.wait_for()
    screen.verify(other_pin(sandbox.pin(phone)))
    expect(screen.messages).to_contain_text(["Attempts used up"])
    expect(screen.messages).to_contain_text(["1 of 1 attempts used"])


def seconds_left(screen: Screen) -> int:
    minutes, seconds = re.findall("[0-9]+", screen.send_button.inner_text())
    return 60 * int(minutes) + int(seconds)


def test_the_cooldown_counts_down(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    screen.send(phone)
    expect(screen.send_button).to_have_text(re.compile(r"Send again in 0:(30|2\d)"))
    first = seconds_left(screen)
    screen.recipient.press("Enter")
    screen.page.clock.fast_forward(10_000)
    expect(screen.send_button).to_have_text(re.compile("Send again in 0:(20|1.)"))
    assert 0 < seconds_left(screen) <= first - 10
    expect(screen.wire.locator("summary")).to_have_count(1)  # Enter does not bypass the cooldown
    screen.recipient.fill("+14155552671")
    expect(screen.send_button).to_have_text("Send PIN")
    screen.recipient.fill(phone)
    expect(screen.send_button).to_have_text(re.compile("Send again in"))


def test_a_refused_send_counts_down_too(visit: Visit, service: Service, phone: str) -> None:
    screen = visit()
    assert service.send(phone).status_code == 200
    screen.send(phone)
    expect(screen.page.locator("#send-result")).to_have_text("Too many requests. Please try again later.")
    expect(screen.send_button).to_have_text(re.compile(r"Send again in 0:(30|2\d)"))
    assert re.search(r"\nRetry-After: (30|2[0-9])\n", screen.wire.locator("pre").nth(1).inner_text())


def test_a_pin_expires_on_the_open_page(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    screen.send(phone)
    expect(screen.messages).to_contain_text(["Pending"])
    sandbox.clock.ahead += 600
    screen.page.clock.fast_forward(600_000)
    expect(screen.messages).to_contain_text(["Expired"])
    expect(screen.page.locator("#pin-hint")).to_have_text("The PIN has expired. Send a new one.")
    expect(screen.send_button).to_have_text("Send a new PIN")
    screen.verify(screen.read_pin())
    expect(screen.pin).to_have_accessible_description(re.compile("^Invalid or expired OTP."))


def test_an_unreachable_service_is_reported(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    sandbox.service_url = f"http://127.0.0.1:{free_port()}"
    sandbox.reset()
    screen = visit()
    screen.send(phone)
    sentence = f"Nothing answers at {sandbox.service_url}: is the service running?"
    expect(screen.page.locator("#send-result")).to_have_text(sentence)
    expect(screen.send_button).to_have_text("Send PIN")


def test_the_page_offers_numbers_with_a_fixed_outcome(visit: Visit, sandbox: Sandbox) -> None:
    screen = visit()
    screen.page.get_by_text("Numbers to try").click()
    screen.page.get_by_role("button", name="+14155550106").click()
    expect(screen.recipient).to_have_value("+14155550106")
    expect(screen.recipient).to_be_focused()
    screen.recipient.press("Enter")
    expect(screen.page.locator("#send-result")).to_have_text("The code could not be sent or checked.")
    expect(screen.wire.locator("summary")).to_have_text(["POST /send-otp → 502 BAD GATEWAY"])
