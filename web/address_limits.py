"""How often one address may ask: Flask-Limiter, whose strategy each request calls once, and headers of ours.

Not by Flask-Limiter's decorators: they cost 170 us of CPU a request more, and put their Retry-After over a cooldown's.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import cast

from flask import Flask, Response, g
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from limits import RateLimitItem

from errors import TooManyRequests
from otp.redis.client import RedisClient
from spending.windows import STRATEGY, ExactWindows, Window

View = Callable[..., ResponseReturnValue]


class AddressLimits:
    """Counts by `g.address`, also one that is not known."""

    def __init__(self, app: Flask, redis: RedisClient) -> None:
        limiter = Limiter(
            lambda: str(g.address),
            storage_uri="otp://",
            storage_options={"redis": redis},  # type: ignore[dict-item]
            strategy=STRATEGY,
        )
        # A limiter that is there already does not hook itself into every request, where it would look, at a price
        # that can be measured, for limits of the whole application. Ours hang on the views.
        app.extensions["limiter"] = {limiter}
        limiter.init_app(app)
        app.after_request(_show)
        self._windows = cast(ExactWindows, limiter.limiter)

    def limited(self, limit: RateLimitItem, name: str, view: View) -> View:
        """Let each address through to `view` as often as `limit` says, over all views of this `name`.

        Raises:
            TooManyRequests: more often.
        """

        @wraps(view)
        def so_often() -> ResponseReturnValue:
            window = self._windows.take(limit, str(g.address), name)
            g.address_limit = headers(limit, window)
            if not window.taken:
                raise TooManyRequests(window.wait, "address_limit")
            return view()

        return so_often


def headers(limit: RateLimitItem, window: Window) -> dict[str, int]:
    """What an answer says of the `window` of a `limit`, in Unix seconds where it is a time."""
    return {
        "X-RateLimit-Limit": limit.amount,
        "X-RateLimit-Remaining": window.remaining,
        "X-RateLimit-Reset": int(time.time() + window.wait + 1),
    }


def _show(response: Response) -> Response:
    for name, value in g.address_limit.items():
        response.headers.add(name, value)
    return response
