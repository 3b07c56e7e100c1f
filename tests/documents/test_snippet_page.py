"""examples/verify.html in a real browser, on its own origin, against the service that `make run` starts."""

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.support.browser import PATIENCE
from tests.support.make_run import MakeRun
from tests.support.running import ROOT

PIN = "123456"
# Chromium reads SMS only on phones, so this script gives the page what it would get there.
WEB_OTP = """
window.OTPCredential ??= class {};
navigator.credentials.get = (options) => new Promise((resolve, reject) => {
  window.asked = options.otp;
  window.arrive = (code) => resolve({ code });
  options.signal.onabort = () => { window.aborted = true; reject(new DOMException("", "AbortError")); };
});
"""


# Cloudflare's own script needs the network. This one returns tokens like it, with a new one after each reset.
TURNSTILE = """
window.turnstile = {
  round: 1,
  render: (at, { sitekey }) => { document.querySelector(at).textContent = `Passed ${sitekey}`; return "cf-1"; },
  getResponse: (id) => `token ${turnstile.round} of ${id}`,
  reset: () => { turnstile.round += 1; },
};
showChallenge();
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def origin(folder: Path) -> Iterator[str]:
    """The origin that serves the page, as `python -m http.server` does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory, origin: str, folder: Path) -> Iterator[MakeRun]:
    with MakeRun.started(tmp_path_factory.mktemp("make_run"), SANDBOX_PIN=PIN, CORS_ORIGINS=origin) as make_run:
        page = make_run.with_own_ports((ROOT / "examples/verify.html").read_text())
        (folder / "verify.html").write_text(page)
        (folder / "challenge.html").write_text(page.replace('SITE_KEY = ""', 'SITE_KEY = "1x00000000000000000000AA"'))
        yield make_run


@pytest.fixture
def visit(browser: Browser, make_run: MakeRun, origin: str) -> Iterator[Callable[..., Page]]:
    """Open the page as a new visitor, with a script that runs before it. The page must have no errors."""
    pages, errors = [], list[str]()

    def visit(script: str = "", file: str = "verify.html", widget: str = "") -> Page:
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        context.add_init_script(script)
        pages.append(context.new_page())
        pages[-1].on("pageerror", lambda error: errors.append(str(error)))
        pages[-1].clock.install()
        pages[-1].route("https://challenges.cloudflare.com/**", lambda route: route.fulfill(body=widget))
        pages[-1].goto(f"{origin}/{file}")
        return pages[-1]

    yield visit
    for page in pages:
        page.context.close()
    assert errors == []


def send(page: Page, phone: str) -> None:
    page.get_by_label("Phone number").fill(phone)
    page.get_by_label("Phone number").press("Enter")


def test_a_person_types_the_pin(visit: Callable[..., Page], phone: str) -> None:
    page = visit()
    send(page, phone)
    expect(page.get_by_role("status")).to_have_text("A PIN is on its way.")
    pin = page.get_by_label("PIN", exact=True)
    expect(pin).to_be_focused()
    expect(pin).to_have_attribute("autocomplete", "one-time-code")
    expect(pin).to_have_attribute("inputmode", "numeric")
    pin.fill("000000")
    pin.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Invalid or expired OTP.")
    pin.fill(PIN)
    pin.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Verified.")
    expect(page.locator("form:visible")).to_have_count(0)


def test_a_double_tap_verifies_once_and_shows_no_error(visit: Callable[..., Page], phone: str) -> None:
    """Both taps come before the first response. A second request would find that its PIN was used."""
    page = visit()
    send(page, phone)
    page.get_by_label("PIN", exact=True).fill(PIN)
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if "/verify-otp" in request.url else None)
    page.evaluate("verify.requestSubmit(); verify.requestSubmit()")
    expect(page.get_by_role("status")).to_have_text("Verified.")
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("status")).to_have_text("Verified.")
    assert len([request for request in seen if request.method == "POST"]) == 1


def test_a_double_tap_sends_once(visit: Callable[..., Page], phone: str) -> None:
    page = visit()
    page.get_by_label("Phone number").fill(phone)
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if "/send-otp" in request.url else None)
    page.evaluate("send.requestSubmit(); send.requestSubmit()")
    expect(page.get_by_role("status")).to_have_text("A PIN is on its way.")
    page.wait_for_load_state("networkidle")
    assert len([request for request in seen if request.method == "POST"]) == 1


def test_the_sms_fills_in_the_pin(visit: Callable[..., Page], phone: str) -> None:
    page = visit(WEB_OTP)
    send(page, phone)
    page.wait_for_function("window.asked")
    assert page.evaluate("window.asked") == {"transport": ["sms"]}
    page.evaluate(f"window.arrive('{PIN}')")
    expect(page.get_by_role("status")).to_have_text("Verified.")


def test_typing_the_pin_ends_the_wait_for_the_sms(visit: Callable[..., Page], phone: str) -> None:
    page = visit(WEB_OTP)
    send(page, phone)
    page.get_by_label("PIN", exact=True).fill(PIN)
    page.get_by_label("PIN", exact=True).press("Enter")
    expect(page.get_by_role("status")).to_have_text("Verified.")
    assert page.evaluate("window.aborted")


def test_the_next_send_counts_down(visit: Callable[..., Page], phone: str) -> None:
    """It counts from the response's resendIn or, in another tab, from the Retry-After of the refusal."""
    page = visit()
    send(page, phone)
    button = page.locator("#send-button")
    expect(button).to_have_text(re.compile("^Send again in (30|2[0-9]) s$"))
    expect(button).to_be_disabled()
    other = visit()
    send(other, phone)
    expect(other.get_by_role("status")).to_have_text("Too many requests. Please try again later.")
    expect(other.locator("#send-button")).to_have_text(re.compile("^Send again in (30|[12]?[0-9]) s$"))
    page.clock.fast_forward(31_000)
    expect(button).to_have_text("Send PIN")
    expect(button).to_be_enabled()


def test_a_call_is_offered_after_the_wait(visit: Callable[..., Page], make_run: MakeRun, phone: str) -> None:
    page = visit()
    send(page, phone)
    call = page.get_by_role("button", name="Call me")
    expect(page.locator("#send-button")).to_have_text(re.compile("^Send again in (30|2[0-9]) s$"))
    expect(call).to_be_hidden()
    page.clock.fast_forward(31_000)
    page.route("**/resend-otp", lambda route: route.fulfill(json={"resendIn": 60, "channels": ["sms"]}))
    with page.expect_request("**/resend-otp") as seen:
        call.click()
    assert '"channel":"voice"' in (seen.value.post_data or "")
    expect(page.get_by_role("status")).to_have_text("A call is on its way.")
    page.clock.fast_forward(61_000)
    expect(page.locator("#send-button")).to_be_enabled()
    expect(call).to_be_hidden()


def test_another_number_has_no_countdown(visit: Callable[..., Page], phone: str) -> None:
    page = visit()
    send(page, phone)
    expect(page.locator("#send-button")).to_be_disabled()
    page.get_by_label("Phone number").fill("+14155552671")
    expect(page.locator("#send-button")).to_be_enabled()


def test_the_pin_of_one_number_is_not_tried_for_another(visit: Callable[..., Page], phone: str) -> None:
    page = visit()
    send(page, phone)
    pin = page.get_by_label("PIN", exact=True)
    expect(pin).to_be_visible()
    page.get_by_label("Phone number").fill("+14155552671")
    expect(pin).to_be_hidden()


def test_a_number_changed_during_its_send_shows_no_pin_field(visit: Callable[..., Page], phone: str) -> None:
    page = visit()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/send-otp", hold, times=1)
    with page.expect_request("**/send-otp"):
        send(page, phone)
    page.get_by_label("Phone number").fill("+14155552671")
    with page.expect_response("**/send-otp"):
        held[0].continue_()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_label("PIN", exact=True)).to_be_hidden()
    expect(page.get_by_role("status")).to_be_empty()


def lose_a_response(page: Page, phone: str) -> Request:
    """Send, drop the response of the service, and return the request."""
    page.route("**/send-otp", lambda route: (route.fetch(), route.abort()), times=1)
    with page.expect_request("**/send-otp") as seen:
        send(page, phone)
    expect(page.get_by_role("status")).to_have_text("The service cannot be reached. Please try again.")
    return seen.value


def test_after_a_lost_response_the_same_key_is_sent(visit: Callable[..., Page], make_run: MakeRun, phone: str) -> None:
    page = visit()
    lost = lose_a_response(page, phone)
    with page.expect_request("**/send-otp") as again:
        page.locator("#send-button").click()
    assert again.value.headers["idempotency-key"] == lost.headers["idempotency-key"]
    expect(page.get_by_role("status")).to_have_text("A PIN is on its way.")
    assert make_run.pins(phone) == [PIN], "one SMS"


def test_another_number_gets_another_key(visit: Callable[..., Page], phone: str) -> None:
    """With the key of the lost request, the service would refuse it because of its different body."""
    page = visit()
    lose_a_response(page, phone)
    send(page, "+442071838750")
    expect(page.get_by_role("status")).to_have_text("A PIN is on its way.")


def test_each_send_has_its_own_token_and_a_repeated_send_keeps_it(visit: Callable[..., Page], phone: str) -> None:
    page = visit(file="challenge.html", widget=TURNSTILE)
    expect(page.locator("#challenge")).to_have_text("Passed 1x00000000000000000000AA")
    sent = lose_a_response(page, phone)
    assert '"challenge":"token 1 of cf-1"' in (sent.post_data or "")
    with page.expect_request("**/send-otp") as again:
        page.locator("#send-button").click()
    assert again.value.post_data == sent.post_data
    expect(page.get_by_role("status")).to_have_text("A PIN is on its way.")
    with page.expect_request("**/send-otp") as other:
        send(page, "+4915112345678")
    assert '"challenge":"token 2 of cf-1"' in (other.value.post_data or "")
