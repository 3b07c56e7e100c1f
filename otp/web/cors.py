"""CORS: the origins whose web pages may read the responses."""

from collections.abc import Collection, Iterable

from flask import Flask
from flask_cors import CORS

ASKED = ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID"]
ANSWERED = ["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-ID"]


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
            supports_credentials=False,
            always_send=False,
        )
