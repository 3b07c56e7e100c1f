"""Wrong keys count against the address that they come from, and too many are answered with 429.

A right key is let in all the same, and costs no look here: a stranger behind the same NAT, or one instance that has an
old key, would shut out a client otherwise. So guessing goes on, and is hopeless by itself: a key has 16 characters or
more. What the limit does is to say "wait" to programs that go on and on, and to show the operator that they do. Who has
an IPv6 /48 has many addresses (/64).
"""

from contextlib import suppress

import limits
from flask import g

from otp.errors import OtpError, StoreUnavailable, TooManyRequests, Unauthorized
from otp.redis.client import RedisClient
from otp.redis.windows import ExactWindows, WindowStorage
from otp.web.address_limits import headers

WRONG_KEYS = limits.parse("20 per 5 minutes")


class WrongKeys:
    """Counts them by `g.address`, which is that of the connection or the proxy: who has no key speaks for nobody."""

    def __init__(self, redis: RedisClient) -> None:
        self._windows = ExactWindows(WindowStorage(redis=redis))

    def error(self, key: str) -> OtpError:
        """The error for a request with this `key`, or secret, that is not right; "" for none, which is no guess.

        Without Redis it is Unauthorized: true, and nobody is let in.
        """
        with suppress(StoreUnavailable):
            if key and not (window := self._windows.take(WRONG_KEYS, str(g.address), "wrong_key")).taken:
                g.address_limit = headers(window)
                return TooManyRequests(window.wait, "wrong_keys")
        return Unauthorized()
