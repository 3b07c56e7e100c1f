"""How often one address may ask: Flask-Limiter, with windows, errors and headers of ours.

Its own headers stay off: they would put its Retry-After over a cooldown's.
"""

import time
from functools import partial

from flask import Flask, Response, g
from flask_limiter import Limiter, RateLimitExceeded

from errors import TooManyRequests
from otp.redis.client import RedisClient
from spending import windows  # noqa: F401  Flask-Limiter finds its storage by the name otp://
from web.refusals import refusal


def address_limits(app: Flask, redis: RedisClient) -> Limiter:
    """A limiter whose `limit` decorates the views; it counts by `g.address`."""
    limiter = Limiter(
        lambda: str(g.address),
        storage_uri="otp://",
        storage_options={"redis": redis},  # type: ignore[dict-item]
        strategy="moving-window",
    )
    # A limiter that is there already does not hook itself into every request, where it would look, at a price
    # that can be measured, for limits of the whole application. Ours hang on the views.
    app.extensions["limiter"] = {limiter}
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, partial(_exceeded, limiter))
    app.after_request(partial(_show, limiter))
    return limiter


def _exceeded(limiter: Limiter, _: RateLimitExceeded) -> Response:
    assert limiter.current_limit
    return refusal(TooManyRequests(limiter.current_limit.window.reset_time - time.time(), "address_limit"))


def _show(limiter: Limiter, response: Response) -> Response:
    if limit := limiter.current_limit:
        response.headers.add("X-RateLimit-Limit", limit.limit.amount)
        response.headers.add("X-RateLimit-Remaining", limit.remaining)
        response.headers.add("X-RateLimit-Reset", limit.reset_at)
    return response
