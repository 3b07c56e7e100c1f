"""The scopes that the guard blocks now, and how an operator unblocks one."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import number
from otp.send_limits.fraud_guard.scopes import SCRIPTS


class Verdict(NamedTuple):
    """What holds for a scope or a phone until `until` (Unix seconds), and why.

    `kind` is country, prefix, address or phone; `why` is the reason why the guard has no room, or a rule by hand: block
    or trust.
    """

    kind: str
    which: str
    why: str
    until: float


def blocks(redis: RedisClient) -> Iterator[Verdict]:
    """The scopes that are blocked now, sorted by name."""
    for key in sorted(redis.administration().keys(keys.guard_scope("*", "*"))):
        kind, which = keys.read_guard_scope(key)
        if kind in SCRIPTS:
            ((until, why),) = redis.run(("HMGET", key, "until", "why"))
            if (end := number(until)) > time.time():
                yield Verdict(kind, which, str(why), end)


def unblock(redis: RedisClient, kind: str, which: str) -> bool:
    """Forget the unverified sends of a scope, and keep the verified ones. False if there are no unverified ones."""
    return redis.run(SCRIPTS[kind].unblock([keys.guard_scope(kind, which)])) == [1]
