"""Counts wrong API keys by client address, and answers too many of them with 429.

A right key always passes, without a look at the count: otherwise a stranger behind the same NAT, or an instance with an
old key, would lock a client out. So guessing is not stopped; it is hopeless, since a key has 16 characters or more. The
limit slows programs that retry for ever, and shows them to the operator. The owner of an IPv6 /48 has many /64s.
"""

from contextlib import suppress

import limits
from flask import g

from otp.errors import OtpError, Reason, StoreUnavailable, TooManyRequests, Unauthorized
from otp.redis.client import RedisClient
from otp.redis.windows import ExactWindows, WindowStorage
from otp.web.address_limits import rate_limit_headers

WRONG_KEYS = limits.parse("20 per 5 minutes")


class WrongKeys:
    """Counts by `g.client_ip`, the address of the connection: X-End-User-IP is not believed without a right key."""

    def __init__(self, redis: RedisClient) -> None:
        self._windows = ExactWindows(WindowStorage(redis=redis))

    def error(self, key: str) -> OtpError:
        """The error for a request with a wrong `key` or secret; "" for no key, which is not counted.

        Without Redis it is Unauthorized.
        """
        with suppress(StoreUnavailable):
            if key and not (window := self._windows.take(WRONG_KEYS, str(g.client_ip), "wrong_key")).taken:
                g.rate_limit_headers = rate_limit_headers(window, "wrong-keys")
                return TooManyRequests(window.wait, Reason.WRONG_KEYS)
        return Unauthorized()
