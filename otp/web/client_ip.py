"""The address of a client, hostile until it has passed here: who is on the other end of a request, as limits count it."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from otp.requester import SUBNET, UNKNOWN

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def client_address(environ: "WSGIEnvironment", trusted_proxies: int) -> str:
    """Whom an address limit counts: an IPv4 address or an IPv6 /64, never empty.

    The last `trusted_proxies` entries of X-Forwarded-For were written by proxies of ours, so the first of
    them is the client. Everything before is whatever the client wants to say, and is not believed.
    """
    entries = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    written = entries[-trusted_proxies] if 0 < trusted_proxies <= len(entries) else ""
    address = _ip(written) or _ip(environ.get("REMOTE_ADDR", ""))
    return counted_as(address) if address else UNKNOWN


def counted_as(address: IPv4Address | IPv6Address) -> str:
    """What the limits count: an IPv4 address itself, an IPv6 one by its /64."""
    return f"{IPv6Address(int(address) >> 64 << 64)}{SUBNET}" if isinstance(address, IPv6Address) else str(address)


def read_address(text: str) -> IPv4Address | IPv6Address:
    """Read an IP address and nothing else; a v4 address that is written as v6 is that v4 one.

    Raises:
        ValueError: it is none.
    """
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def _ip(written: str) -> IPv4Address | IPv6Address | None:
    """Read an address, which some proxies write with a port; a v4 address that is written as v6 is that v4 one."""
    text = written.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return read_address(text)
    except ValueError:
        return None
