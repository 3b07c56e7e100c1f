"""What Redis replied: checked before it is believed."""

import logging
from typing import Any

from otp.errors import StoreUnavailable

log = logging.getLogger("otp.redis")


def members(reply: Any, *kinds: type) -> list[Any]:
    """`reply`, if it is a list of exactly these types, as our scripts reply: whoever says something else ran none.

    Raises:
        StoreUnavailable: it is not.
    """
    if isinstance(reply, list) and [type(member) for member in reply] == [*kinds]:
        return reply
    raise nonsense()


def nonsense() -> StoreUnavailable:
    """The error for a reply that makes no sense; it is logged."""
    log.error("redis_refused", extra={"error": "a reply of another form"})
    return StoreUnavailable(retry_after=1)


def milliseconds(seconds: float) -> int:
    """A lifetime as Redis takes it; at least 1."""
    return max(1, int(seconds * 1000))
