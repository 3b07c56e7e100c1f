"""Checks the form of Redis' replies."""

import logging
import math
from typing import Any

from otp.errors import StoreUnavailable

log = logging.getLogger("otp.redis")


def members(reply: Any, *kinds: type) -> list[Any]:
    """Return `reply` if it is a list of exactly these types, like the replies of the service's scripts.

    Raises:
        StoreUnavailable: it is not.
    """
    if isinstance(reply, list) and [type(member) for member in reply] == [*kinds]:
        return reply
    raise invalid_reply()


def invalid_reply() -> StoreUnavailable:
    """Log that a reply has another form than the script's, and return the error for it."""
    log.error("redis_refused", extra={"error": "a reply of another form"})
    return StoreUnavailable(retry_after=1)


def number(text: Any) -> float:
    """The number that Redis has as `text`; 0 for None.

    Raises:
        StoreUnavailable: another program has written something else there.
    """
    try:
        if math.isfinite(value := float(text or 0)):
            return value
    except (TypeError, ValueError):
        pass
    raise invalid_reply()


def milliseconds(seconds: float) -> int:
    """`seconds` as Redis takes a lifetime: a whole number, at least 1."""
    return max(1, int(seconds * 1000))
