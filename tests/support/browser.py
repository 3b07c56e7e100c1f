"""A real browser on the sandbox's page, as a person uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from tests.support.programs import find, program

PATIENCE = 60_000  # milliseconds, for a busy machine
expect.set_options(timeout=PATIENCE)

OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the installed Chromium. Without one the test is skipped; in CI it fails, because a skip goes unnoticed.

    The headless shell draws the same pages in a third of the time, because it has no windows.
    """
    installed = find("chromium-headless-shell") or program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=OPTIONS.split())
        yield browser
        browser.close()


class Screen:
    """The page in a tab of its own context: what it shows, and what a person does on it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._watch(request.url, url))
        page.clock.install()  # runs normally until a test moves it
        page.goto(url)
        page.get_by_text("Live", exact=True).wait_for()
        self.recipient = page.get_by_label("Phone number or e-mail address")
        self.pin = page.get_by_label("PIN from the message")
        self.send_button = page.locator("#send-button")
        self.verify_button = page.locator("#verify-button")
        self.wire = page.get_by_role("region", name="On the wire")

    def _listen(self, message: ConsoleMessage) -> None:
        # The browser itself reports a lost stream and an unreachable service: the tests that cause these check them.
        expected = urlsplit(message.location["url"]).path in ("/events", "/try/send-otp", "/try/resend-otp")
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(message.text)

    def _watch(self, asked: str, url: str) -> None:
        if urlsplit(asked).netloc != urlsplit(url).netloc:
            self.complaints.append(f"a request to another host: {asked}")

    def send(self, number: str) -> None:
        self.recipient.fill(number)
        self.recipient.press("Enter")

    def verify(self, pin: str) -> None:
        self.pin.fill(pin)
        self.pin.press("Enter")

    def thread(self, number: str) -> Locator:
        """Return the tab of this number."""
        return self.page.get_by_role("tab", name=number)

    @property
    def messages(self) -> Locator:
        """Return the messages of the open thread, oldest first."""
        return self.page.get_by_role("tabpanel").get_by_role("listitem")

    @property
    def copy_button(self) -> Locator:
        """Return the button with the newest PIN."""
        return self.messages.last.get_by_role("button", name="Copy")

    def read_pin(self) -> str:
        """Return the newest PIN, as the page shows it."""
        return self.copy_button.inner_text().split()[0]

    def clipboard(self) -> Any:
        return self.page.evaluate("navigator.clipboard.readText()")
