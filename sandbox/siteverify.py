"""A local `siteverify` of Turnstile, hCaptcha and reCAPTCHA. It knows what they publish for tests.

Sources: https://developers.cloudflare.com/turnstile/troubleshooting/testing/,
https://docs.hcaptcha.com/#integration-testing-test-keys, https://developers.google.com/recaptcha/docs/faq.
"""

from typing import NamedTuple

from flask import Flask, request

from sandbox.json_responses import Json


class _Site(NamedTuple):
    """`token`: the one that passes; None for any. `error`: the code of every answer."""

    hostname: str
    token: str | None = None
    error: str = ""


_TURNSTILE = "XXXX.DUMMY.TOKEN.XXXX"
SITES = {
    "1x0000000000000000000000000000000AA": _Site("example.com", _TURNSTILE),
    "2x0000000000000000000000000000000AA": _Site("example.com", error="invalid-input-response"),
    "3x0000000000000000000000000000000AA": _Site("example.com", error="timeout-or-duplicate"),
    "0x0000000000000000000000000000000000000000": _Site("dummy-key-pass", "10000000-aaaa-bbbb-cccc-000000000001"),
    "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe": _Site("testkey.google.com"),
}


def add_siteverify(app: Flask) -> None:
    """Answer POST /siteverify."""
    app.post("/siteverify")(_siteverify)


def _siteverify() -> Json:
    site, token = SITES.get(request.form.get("secret", "")), request.form.get("response", "")
    if site is None:
        return {"success": False, "error-codes": ["invalid-input-secret"]}
    if site.error or site.token not in (None, token):
        return {"success": False, "error-codes": [site.error or "invalid-input-response"]}
    return {"success": True, "challenge_ts": "2026-01-01T00:00:00Z", "hostname": site.hostname, "error-codes": []}
