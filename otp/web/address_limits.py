"""How often one address may ask: Flask-Limiter, whose strategy each request calls once, and headers of ours.

Not by Flask-Limiter's decorators: they cost 170 us of CPU a request more, and put their Retry-After over a cooldown's.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, wraps
from ipaddress import IPv6Address
from typing import cast

from flask import Flask, Response, g
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from limits import RateLimitItem

from otp.errors import OtpError, StoreUnavailable, TooManyRequests
from otp.redis.client import RedisClient
from otp.redis.windows import STRATEGY, ExactWindows, Window, key_of
from otp.requester import SUBNET
from otp.telemetry import record
from otp.telemetry.record import Record
from otp.web.error_responses import STATUS

View = Callable[..., ResponseReturnValue]

# So many times as often as a /64, its /48 may ask. Customers of tunnels have a whole one, with 65,536 of them; but
# strangers share one too, like the phones of a carrier, who with IPv4 share the one address of its NAT. Ten is generous
# to these, and little to those.
SITE = 10
CLIENT_RATE = "client_rate"  # a reason of TooManyRequests
PATIENCE = 0.4  # seconds of waiting for Redis; 1.5 s more, the most of a round trip, and an answer is out within 2 s
_MISTAKES = {400, 409, 413, 415, 422}
_TOO_SOON = {"cooldown", CLIENT_RATE}


class AddressLimits:
    """Counts by `g.address`, also one that is not known; of client apps with keys, by `g.client` too.

    One of them could otherwise use up what another's end user may, by naming that address.
    """

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

        What is refused before anything could be sent or judged is given back: to the address, and to the client app
        whose rate it was taken from. It is counted first and given back afterwards, so however many race, no more get
        through.

        Raises:
            TooManyRequests: more often.
        """

        limits = limit, type(limit)(limit.amount * SITE, limit.multiples)

        @wraps(view)
        def so_often() -> ResponseReturnValue:
            known = record.current()
            window = self._take(limits, (known.client,) if known.client else (), known.address, name)
            known.address_limit = headers(window)
            if not window.taken:
                raise TooManyRequests(window.wait, "address_limit")
            known.taken.append(window.to_give_back)
            return self._answer(view, known)

        return so_often

    def _answer(self, view: View, known: Record) -> ResponseReturnValue:
        try:
            return view()
        except OtpError as e:
            if STATUS[type(e)] in _MISTAKES or e.reason in _TOO_SOON:
                self._give_back(known)
            raise

    def _give_back(self, known: Record) -> None:
        if sum(known.redis) > PATIENCE:  # who has waited for Redis in vain does not wait for it again
            return
        with suppress(StoreUnavailable):  # then it stays counted
            if self._windows.storage.give_back(known.taken)[0]:
                known.address_limit["X-RateLimit-Remaining"] += 1

    def _take(
        self, limits: tuple[RateLimitItem, RateLimitItem], client: tuple[str, ...], address: str, name: str
    ) -> Window:
        limit, of_site = limits
        if not address.endswith(SUBNET):
            return self._windows.take(limit, *client, address, name)
        subnet, site = _in_one_slot(address)
        return self._windows.take_of_both(
            limits, (key_of(limit, *client, subnet, name), key_of(of_site, *client, site, name))
        )


@lru_cache(maxsize=4096)
def _in_one_slot(subnet: str) -> tuple[str, str]:
    """How keys name a /64, and the /48 that it is in: what stands in braces says which node of a Cluster has them."""
    groups = [f"{int(group, 16):x}" for group in IPv6Address(subnet.removesuffix(SUBNET)).exploded.split(":")[:4]]
    site = f"{{{':'.join(groups[:3])}}}"
    return f"{site}:{groups[3]}::{SUBNET}", f"{site}::/48"


def headers(window: Window) -> dict[str, int]:
    """What an answer says of the `window`, in Unix seconds where it is a time."""
    return {
        "X-RateLimit-Limit": window.amount,
        "X-RateLimit-Remaining": window.remaining,
        "X-RateLimit-Reset": int(time.time() + window.wait + 1),
    }


def _show(response: Response) -> Response:
    for name, value in g.address_limit.items():
        response.headers.add(name, value)
    return response
