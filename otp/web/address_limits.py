"""Limits requests by client address, with Flask-Limiter's storage and strategy, and writes the X-RateLimit headers and
those of draft-ietf-httpapi-ratelimit-headers (RateLimit-Policy and RateLimit, structured fields of RFC 9651).

Flask-Limiter's decorators are not used: they cost 170 us of CPU more per request (measured), and they overwrite the
Retry-After of a cooldown.
"""

import math
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

from otp import request_record
from otp.errors import OtpError, Reason, StoreUnavailable, TooManyRequests
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.windows import STRATEGY, ExactWindows, Window
from otp.request_record import Record
from otp.requester import SUBNET
from otp.web.client_ip import warn_of_private
from otp.web.error_responses import STATUS

View = Callable[..., ResponseReturnValue]

# An IPv6 /48 may ask ten times as often as one /64. A customer of a tunnel broker has a whole /48, with 65,536 /64s.
# The phones of a carrier share one too, as they share the one IPv4 address of its NAT. Ten is enough for the phones and
# little for the attacker.
SITE_FACTOR = 10
SLOW = 0.4  # seconds already waited for Redis; with the 1.5 s of one more round trip the answer is out within 2 s
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

        limits = limit, type(limit)(limit.amount * SITE_FACTOR, limit.multiples)
        policies = _policies(name, limits)

        @wraps(view)
        def limited_view() -> ResponseReturnValue:
            known = request_record.current()
            window = self._take(limits, (known.client,) if known.client else (), known.client_ip, name)
            known.rate_limit_headers = rate_limit_headers(window, policy := policies[window.amount])
            if not window.taken:
                warn_of_private(known.client_ip)
                raise TooManyRequests(window.wait, Reason.ADDRESS_LIMIT)
            known.taken.append(window.to_give_back)
            try:
                return view()
            except OtpError as e:
                if self._gives_back(e, known):
                    window = window._replace(remaining=window.remaining + 1)
                    known.rate_limit_headers = rate_limit_headers(window, policy)
                raise

        return limited_view

    def _gives_back(self, error: OtpError, known: Record) -> bool:
        """Whether the address got back what a request with this error had taken."""
        is_mistake = STATUS[type(error)] in _MISTAKES or error.reason in _TOO_SOON
        if not is_mistake or error.keeps_reservation:
            return False
        if sum(known.redis) > SLOW:  # Redis is slow: the client does not wait for it once more
            return False
        with suppress(StoreUnavailable):  # the request stays counted
            return self._windows.storage.give_back(known.taken)[0]
        return False

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


def _policies(name: str, limits: tuple[RateLimitItem, RateLimitItem]) -> dict[int, str]:
    """The names of two limits in the RateLimit headers, by their amounts."""
    verb = name.removesuffix("_otp")  # the keys in Redis keep it
    return {limits[0].amount: verb, limits[1].amount: f"{verb}-network"}


def rate_limit_headers(window: Window, policy: str) -> dict[str, int | str]:
    """The headers for `window`: X-RateLimit-Reset is in Unix seconds, the `w` and `t` of the others in seconds.

    Source: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers, sections 3 and 4.
    """
    return {
        "X-RateLimit-Limit": window.amount,
        "X-RateLimit-Remaining": window.remaining,
        "X-RateLimit-Reset": int(time.time() + window.wait + 1),
        "RateLimit-Policy": f'"{policy}";q={window.amount};w={window.period}',
        "RateLimit": f'"{policy}";r={window.remaining};t={math.ceil(window.wait)}',
    }


def _add_headers(response: Response) -> Response:
    for name, value in g.rate_limit_headers.items():
        response.headers.add(name, value)
    return response
