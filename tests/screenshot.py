"""Takes docs/inbox.png, while `make run` runs:    .venv/bin/python -m tests.screenshot"""

import os

from playwright.sync_api import expect

from tests.browser import Screen, chromium
from tests.parts import ROOT

URL = f"http://localhost:{os.environ.get('SANDBOX_PORT', '3001')}/"


def main() -> None:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1200, "height": 960}, reduced_motion="reduce")
        screen = Screen(context.new_page(), URL)
        for number in ("+442071838750", "+14155552671"):
            screen.send(number)
            expect(screen.thread(number)).to_have_attribute("aria-selected", "true")
        screen.verify(screen.read_pin())
        expect(screen.messages).to_contain_text(["Verified"])
        screen.page.screenshot(path=ROOT / "docs" / "inbox.png")


if __name__ == "__main__":
    main()
