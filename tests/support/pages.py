"""README.md and every page of docs/, for the tests that run their examples and check their statements."""

from tests.support.running import ROOT

PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
ALL_PAGES = "\n".join(PAGES[name] for name in sorted(PAGES))

# The settings that the service requires. With them, the tests can load the other settings that a page shows.
REQUIRED = {
    "INFOBIP_BASE_URL": "xxxxx.api.infobip.com",
    "INFOBIP_API_KEY": "key",
    "INFOBIP_2FA_APP_ID": "APP",
    "INFOBIP_2FA_MSG_ID": "MSG",
    "REDIS_URL": "redis://localhost:6379/0",
}
