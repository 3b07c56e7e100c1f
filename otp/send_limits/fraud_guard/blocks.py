"""What the guard has no room for just now, and how an operator makes room."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from otp.redis import keys
from otp.redis.client import RedisClient
from otp.send_limits.fraud_guard.scopes import SCRIPTS


class Block(NamedTuple):
    """A scope without room. `kind` is country, prefix or address, `until` in Unix seconds."""

    kind: str
    which: str
    why: str
    until: float


def blocks(redis: RedisClient) -> Iterator[Block]:
    """Those of this moment, in the order of their names."""
    for key in sorted(redis.administration().keys(keys.guard_scope("*", "*"))):
        _, kind, which = key.split(":", 2)
        if kind in SCRIPTS:
            ((until, why),) = redis.run(("HMGET", key, "until", "why"))
            if until and float(until) > time.time():
                yield Block(kind, which, str(why), float(until))


def lift(redis: RedisClient, kind: str, which: str) -> bool:
    """Forget what was sent to the scope and not verified; what was verified is kept. False where there is nothing."""
    return redis.run(SCRIPTS[kind].lift([keys.guard_scope(kind, which)])) == [1]
