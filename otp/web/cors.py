"""CORS: the origins whose web pages may read the responses."""

from collections.abc import Collection, Iterable
from typing import Annotated

from flask import Flask
from flask_cors import CORS
from pydantic import AfterValidator

from otp.setting_types import matching

ASKED = ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID"]
ANSWERED = [
    "RateLimit", "RateLimit-Policy", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
    "X-Request-ID",
]  # fmt: skip
# As a browser writes it: without a path, and without the port that its scheme has anyway. Pages that come with an app
# have a scheme of its own (capacitor://localhost); pages of the excluded schemes have no origin, or one that may
# not send requests.
_ORIGIN = (
    "(?!http:.*:80$)(?!https:.*:443$)(?!(ftps?|file|data|blob|about|javascript|wss?):)"
    "[a-z][a-z0-9+.-]{0,31}://[a-z0-9-]+([.][a-z0-9-]+)*(:[1-9][0-9]{0,4})?"
)
_LIKE = "must be origins like https://app.example.com or capacitor://localhost, without a path, separated by commas"

Origin = Annotated[str, AfterValidator(str.lower), matching(_ORIGIN, _LIKE)]


def allow_origins(app: Flask, origins: Collection[str], routes: Iterable[str]) -> None:
    """Let pages of these origins use these routes. Credentials are off: API keys are sent in a header."""
    if origins:
        CORS(
            app,
            resources={route: {} for route in routes},
            origins=sorted(origins),
            methods=["POST"],
            allow_headers=ASKED,
            expose_headers=ANSWERED,
            max_age=600,
            always_send=False,
        )
