"""Requester: the client app and the end user that send a request."""

import re
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Network
from typing import NamedTuple

SOMEBODY = "-"  # replaces the fingerprint of an unknown end user
TRUSTED_BY = re.compile(f"[0-9a-f]{{12}}|{SOMEBODY}")
UNKNOWN = "None"  # the address of all clients on a Unix socket without a proxy
SUBNET = "/64"  # of an IPv6 address: one client has at least this network


class Requester(NamedTuple):
    """`address` is the IP address (or network) of the end user, "" if unknown; `client` is the name of the client app,
    "" for one without a key. `is_client_app`: the address is the app's own, because it has not named its end user.
    """

    address: str = ""
    client: str = ""
    is_client_app: bool = False

    @property
    def fingerprint(self) -> str:
        """Identifies the address and the client app in Redis: 12 hex digits, 48 bits."""
        return _fingerprint(self.client, self.address)

    @property
    def network_fingerprint(self) -> str:
        """The fingerprint of the IPv6 /48: one person may have all of its 65,536 subnets (/64)."""
        return _fingerprint(self.client, _site(self.address) if self.address.endswith(SUBNET) else self.address)

    @property
    def end_user(self) -> str:
        """The fingerprint of the end user; "" if the end user is unknown."""
        return "" if self.is_client_app or self.address in ("", UNKNOWN) else self.fingerprint


NOBODY = Requester()


@lru_cache(maxsize=4096)
def _fingerprint(client: str, address: str) -> str:
    return sha256(f"{client}\n{address}".encode()).hexdigest()[:12]


@lru_cache(maxsize=4096)
def _site(subnet: str) -> str:
    return str(IPv6Network(subnet).supernet(new_prefix=48))
