"""Reads the client's IP address, which is untrusted input until it is read here."""

import logging
import mmap
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from wsgiref.types import WSGIEnvironment

from otp.requester import SUBNET, UNKNOWN

log = logging.getLogger("otp")

X_FORWARDED_FOR = "X-Forwarded-For"
_PROXIES_WRITE = {"HTTP_X_FORWARDED_FOR": X_FORWARDED_FOR, "HTTP_X_REAL_IP": "X-Real-IP", "HTTP_FORWARDED": "Forwarded"}
UNTRUSTED = (
    "A request came with {}, but TRUSTED_PROXIES is 0: if one of your proxies wrote it, all clients behind the proxy "
    "share one limit. Set TRUSTED_PROXIES to how many proxies stand in front."
)
TOO_FEW = (
    "A request came with fewer addresses in X-Forwarded-For than TRUSTED_PROXIES says: the address of whoever "
    "connected is counted, which may be a proxy's."
)
SHARED = (
    "A limit refused a private address. If it is that of a proxy or of Docker's gateway (which replaces the addresses "
    "of IPv6 clients, and of all clients where Docker runs without root), all clients behind it share one limit."
)
_warned: bytearray | mmap.mmap = bytearray(2)  # whether each of the two kinds of warnings was logged

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765, 2.1
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, 2.5.5.1; no host is in 0.0.0.0/8, and ::1 is this machine
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215: prefixes of any length from 48 on
# Where the four bytes of the IPv4 address are, by the last byte that is not zero: RFC 6052, 2.2. All that follows is
# zero; a /96 has them at the end. Bits 64 to 71 are zero in all of these.
_PLACES = {11: (7, 9, 10, 11), 12: (9, 10, 11, 12), 13: (12, 13, 14, 15), 14: (12, 13, 14, 15), 15: (12, 13, 14, 15)}
_OF_48 = (6, 7, 9, 10)
_ZERO_BYTE = 8


def share_warnings() -> None:
    """Have each warning logged once by all workers together. Call this in the master, before they are forked."""
    global _warned  # noqa: PLW0603  one in a process, like the loggers
    _warned = mmap.mmap(-1, 2)  # memory that they share


def client_address(environ: WSGIEnvironment, trusted_proxies: int) -> str:
    """The address that limits count: an IPv4 address or an IPv6 /64, never empty.

    The last `trusted_proxies` entries of X-Forwarded-For were written by the operator's proxies, so the first of those
    is the client. The entries before are written by the client, and are ignored.
    """
    entries = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    written = entries[-trusted_proxies] if 0 < trusted_proxies <= len(entries) else ""
    if not written and not _warned[0]:
        _warn(environ, trusted_proxies)
    address = _ip(written) or _ip(environ.get("REMOTE_ADDR", ""))
    return network_of(address) if address else UNKNOWN


def _warn(environ: WSGIEnvironment, trusted_proxies: int) -> None:
    """Log once that TRUSTED_PROXIES does not fit what comes in."""
    written = [name for key, name in _PROXIES_WRITE.items() if environ.get(key)]
    if trusted_proxies and X_FORWARDED_FOR not in written:
        return  # a direct connection, like a health check
    if written:
        _warned[0] = 1
        log.warning(TOO_FEW if trusted_proxies else UNTRUSTED.format(written[0]))


def warn_of_private(address: str) -> None:
    """Log once that a limit refused an address behind which there may be many clients."""
    known = None if _warned[1] else _ip(address.removesuffix(SUBNET))
    if known and may_be_a_proxy(known):
        _warned[1] = 1
        log.warning(SHARED)


def may_be_a_proxy(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address may be that of a proxy or of Docker's gateway, with many clients behind it."""
    return address.is_private and not address.is_loopback


def network_of(address: IPv4Address | IPv6Address) -> str:
    """What limits count for `address`: an IPv4 address itself, the /64 of an IPv6 address."""
    return f"{IPv6Address(int(address) >> 64 << 64)}{SUBNET}" if isinstance(address, IPv6Address) else str(address)


def read_address(text: str) -> IPv4Address | IPv6Address:
    """Read an IP address. An IPv6 address that embeds an IPv4 address is read as the IPv4 address.

    Many clients share the /64 of such addresses: they come through a translator (NAT64) or one server (Teredo).

    Raises:
        ValueError: `text` is not an IP address.
    """
    address = ip_address(text)
    return (_embedded_ipv4(address) or address) if isinstance(address, IPv6Address) else address


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    is_compatible = address in _COMPATIBLE and int(address) >> 24
    if is_compatible or address in _NAT64 or address in _TRANSLATED:
        return IPv4Address(address.packed[12:])
    if address in _LOCAL_NAT64:
        return _of_local_nat64(address.packed)
    return address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])


def _of_local_nat64(packed: bytes) -> IPv4Address | None:
    """The operator's prefix length is not known; the number of zero bytes at the end gives it."""
    places = _PLACES.get(len(packed.rstrip(b"\0")) - 1, _OF_48)
    return None if packed[_ZERO_BYTE] else IPv4Address(bytes(packed[place] for place in places))


@lru_cache(maxsize=4096)
def _ip(written: str) -> IPv4Address | IPv6Address | None:
    """Read an address, which some proxies write with a port."""
    text = written.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return read_address(text)
    except ValueError:
        return None
