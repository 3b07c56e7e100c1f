"""What a Redis user with an ACL must be allowed to do: the commands inside the scripts, and those outside."""

import re

from redis.exceptions import NoPermissionError

from otp.errors import StoreUnavailable
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.scripts import Script, names_in_scripts

_OUTSIDE_SCRIPTS = "del eval evalsha exists hdel hgetall hmget lrange lrem ping pttl scan set"
_MISSING = Script("permissions_missing")
_REFUSED = re.compile("'([a-z|]+)' command")


def missing_rules(redis: RedisClient) -> list[str]:
    """The rules of an ACL that the user of `redis` lacks, in words like `+hset` and `~otp:*`.

    Raises:
        StoreUnavailable: Redis fails.
    """
    return sorted({rule for key in keys.PERMISSIONS for rule in _missing_for(redis, key)})


def _missing_for(redis: RedisClient, key: str) -> list[str]:
    try:
        (names,) = redis.run(_MISSING([key], *sorted({*_OUTSIDE_SCRIPTS.split(), *names_in_scripts()})))
    except StoreUnavailable as e:
        if not isinstance(e.__cause__, NoPermissionError):
            raise
        refused = _REFUSED.search(str(e.__cause__))
        brace = "{" if key.startswith("{") else ""
        return [f"+{refused[1]}" if refused else f"~{brace}{redis.prefix}*"]
    return [f"+{name}" for name in names]
