"""Takes docs/inbox.png:    .venv/bin/python -m tools.screenshot

Needs INFOBIP_TIMEOUT=2s RESEND_COOLDOWN=2100ms make run, so that the call can be asked for at once.
"""

import os

from playwright.sync_api import expect

from tests.support.browser import Screen, chromium
from tests.support.running import ROOT

URL = f"http://localhost:{os.environ.get('SANDBOX_PORT', '3001')}/"


def main() -> None:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1200, "height": 960}, reduced_motion="reduce")
        screen = Screen(context.new_page(), URL)
        screen.send("ada@example.org")
        screen.verify(screen.read_pin())
        expect(screen.messages).to_contain_text(["Verified"])
        screen.send("+14155552671")
        screen.page.get_by_role("button", name="Call me instead").click()
        expect(screen.messages).to_have_count(2)
        screen.page.screenshot(path=ROOT / "docs" / "inbox.png")


if __name__ == "__main__":
    main()
