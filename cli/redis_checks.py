"""Checks of Redis for `flask infobip check`."""

import ipaddress
import itertools
import logging
from collections.abc import Iterator

from cli.findings import Finding
from config import Settings
from otp.errors import StoreUnavailable
from otp.redis import keys
from otp.redis.administration import Administration, CommandRefused
from otp.redis.client import RedisClient
from otp.redis.diagnosis import diagnose, diagnose_connection
from otp.redis.permissions import missing_rules
from otp.web.client_ip import may_be_a_proxy
from store import Store

log = logging.getLogger("otp")

SAMPLE = 10_000  # keys that are examined at most


def examine_redis(redis: RedisClient, store: Store, settings: Settings) -> Iterator[Finding]:
    """Findings about the Redis behind `redis`, including what is ok."""
    try:
        if missing := missing_rules(redis):
            said = "The user of REDIS_URL lacks permissions."
            remedy = f'allow it {" ".join(missing)}; "Deploy" in the documentation has the ACL'
            yield Finding("error", "Redis permissions", said, remedy)
            return
        store.ping()
        yield Finding("ok", "Redis", "It answers.")
        yield from _durability(redis.administration())
        yield _client_addresses(redis.administration(), settings)
    except StoreUnavailable as e:
        yield Finding("error", "Redis", *diagnose(settings.redis_url.get_secret_value(), e))


def log_diagnosis(settings: Settings) -> None:
    """Log what is wrong with Redis, if anything is: without this line a start would look healthy."""
    if found := diagnose_connection(settings.redis_url.get_secret_value()):
        log.error("Redis: %s (%s)", *found)


def _durability(redis: Administration) -> Iterator[Finding]:
    try:
        servers = redis.servers()
    except CommandRefused as e:
        denied = "The user of REDIS_URL may not ask for INFO.", "allow it +info"
        unknown = (
            "It does not know INFO, or has another name for it.",
            "look at maxmemory-policy and appendonly yourself",
        )
        yield Finding("warning", "Redis settings", *(denied if e.is_denied else unknown))
        return
    policies = {server.get("maxmemory_policy", "unknown") for server in servers}
    if policies == {"noeviction"}:
        yield Finding("ok", "Redis eviction", "maxmemory-policy is noeviction.")
    else:
        said = f"maxmemory-policy is {', '.join(sorted(policies))}: PINs, guesses and limits can vanish."
        yield Finding("error", "Redis eviction", said, "set it to noeviction")
    if all(server.get("aof_enabled") == "1" for server in servers):
        yield Finding("ok", "Redis persistence", "The append-only file is on.")
    else:
        said = "The append-only file is off: a crash brings used PINs and spent guesses back."
        yield Finding("warning", "Redis persistence", said, "set appendonly yes")


def _client_addresses(redis: Administration, settings: Settings) -> Finding:
    """Look for the address of a proxy that TRUSTED_PROXIES does not count among those of the clients."""
    name, sample = "client addresses", itertools.islice(redis.keys(), SAMPLE)
    counted = {address for key in sample if (address := keys.counted_address(key))}
    if not counted:
        return Finding("ok", name, "No address was counted yet.")
    if private := sorted(filter(_may_be_a_proxy, counted)):
        trusted = settings.trusted_proxies
        said = f"The address {private[0]} is counted as a client; if it is a proxy, all behind it share one limit."
        return Finding("warning", name, said, f"set TRUSTED_PROXIES (now {trusted}) to the number of your proxies")
    return Finding("ok", name, f"None of {len(counted)} counted addresses looks like a proxy's.")


def _may_be_a_proxy(written: str) -> bool:
    """Whether it is private, or no address: that of a proxy on a Unix socket without X-Forwarded-For."""
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return True
    return may_be_a_proxy(address)
