"""Limits requests by client address, with Flask-Limiter's storage and strategy, and writes the X-RateLimit headers.

Flask-Limiter's decorators are not used: they cost 170 us of CPU more per request (measured), and they overwrite the
Retry-After of a cooldown.
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

from otp.errors import OtpError, Reason, StoreUnavailable, TooManyRequests
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.windows import STRATEGY, ExactWindows, Window
from otp.requester import SUBNET
from otp.telemetry import record
from otp.telemetry.record import Record
from otp.web.error_responses import STATUS

View = Callable[..., ResponseReturnValue]

# An IPv6 /48 may ask ten times as often as one /64. A customer of a tunnel broker has a whole /48, with 65,536 /64s.
# The phones of a carrier share one too, as they share the one IPv4 address of its NAT. Ten is enough for the phones and
# little for the attacker.
SITE = 10
PATIENCE = 0.4  # seconds already waited for Redis; with the 1.5 s of one more round trip the answer is out within 2 s
_MISTAKES = {400, 409, 413, 415, 422}
_TOO_SOON = {Reason.COOLDOWN, Reason.CLIENT_RATE}


class AddressLimits:
    """Counts requests by client address, an unknown one included, and by client app where it has a key.

    Without the client app in the key, one app could use up the limit of another app's end user by naming that address.
    """

    def __init__(self, app: Flask, redis: RedisClient) -> None:
        limiter = Limiter(
            lambda: str(g.client_ip),
            storage_uri="otp://",
            storage_options={"redis": redis},  # type: ignore[dict-item]
            strategy=STRATEGY,
        )
        # A limiter that is registered already does not add its hook to every request, where it would look for limits of
        # the whole application. The limits here belong to views.
        app.extensions["limiter"] = {limiter}
        limiter.init_app(app)
        app.after_request(_add_headers)
        self._windows = cast(ExactWindows, limiter.limiter)

    def limited(self, limit: RateLimitItem, name: str, view: View) -> View:
        """Return `view`, limited to `limit` requests per address, together with all other views of this `name`.

        A request that is refused before anything was sent or judged is counted first and given back afterwards, to the
        address and to the client app's rate; so a race lets no additional request through.

        Raises:
            TooManyRequests: the address has used up its limit.
        """

        limits = limit, type(limit)(limit.amount * SITE, limit.multiples)

        @wraps(view)
        def limited_view() -> ResponseReturnValue:
            known = record.current()
            window = self._take(limits, (known.client,) if known.client else (), known.client_ip, name)
            known.rate_limit_headers = headers(window)
            if not window.taken:
                raise TooManyRequests(window.wait, Reason.ADDRESS_LIMIT)
            known.taken.append(window.to_give_back)
            return self._answer(view, known)

        return limited_view

    def _answer(self, view: View, known: Record) -> ResponseReturnValue:
        try:
            return view()
        except OtpError as e:
            if STATUS[type(e)] in _MISTAKES or e.reason in _TOO_SOON:
                self._give_back(known)
            raise

    def _give_back(self, known: Record) -> None:
        if sum(known.redis) > PATIENCE:  # Redis is slow: the client does not wait for it once more
            return
        with suppress(StoreUnavailable):  # the request stays counted
            if self._windows.storage.give_back(known.taken)[0]:
                known.rate_limit_headers["X-RateLimit-Remaining"] += 1

    def _take(
        self, limits: tuple[RateLimitItem, RateLimitItem], client: tuple[str, ...], address: str, name: str
    ) -> Window:
        limit, of_site = limits
        if not address.endswith(SUBNET):
            return self._windows.take(limit, *client, address, name)
        subnet, site = _in_one_slot(address)
        return self._windows.take_of_both(
            limits, (keys.rate_limit(limit, *client, subnet, name), keys.rate_limit(of_site, *client, site, name))
        )


@lru_cache(maxsize=4096)
def _in_one_slot(subnet: str) -> tuple[str, str]:
    """The names of a /64 and of its /48 in Redis keys. The part in braces puts both on one node of a Cluster."""
    groups = [f"{int(group, 16):x}" for group in IPv6Address(subnet.removesuffix(SUBNET)).exploded.split(":")[:4]]
    site = f"{{{':'.join(groups[:3])}}}"
    return f"{site}:{groups[3]}::{SUBNET}", f"{site}::/48"


def headers(window: Window) -> dict[str, int]:
    """The X-RateLimit headers for `window`; X-RateLimit-Reset is in Unix seconds."""
    return {
        "X-RateLimit-Limit": window.amount,
        "X-RateLimit-Remaining": window.remaining,
        "X-RateLimit-Reset": int(time.time() + window.wait + 1),
    }


def _add_headers(response: Response) -> Response:
    for name, value in g.rate_limit_headers.items():
        response.headers.add(name, value)
    return response
