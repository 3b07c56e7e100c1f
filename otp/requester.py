"""Who asks for a message, or tries a PIN."""

import re
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Network
from typing import NamedTuple

SOMEBODY = "-"  # in place of a fingerprint, where nobody knows which end user it was
TRUSTED_BY = re.compile(f"[0-9a-f]{{12}}|{SOMEBODY}")
UNKNOWN = "None"  # the address over a Unix socket without a proxy: everybody has it
SUBNET = "/64"  # of an IPv6 address: what one client has at least


class Requester(NamedTuple):
    """`address` is the end user's (or that of its network), "" if unknown; `client` the name of the client app, "" for
    one without a key. `is_client_app` says that the address is only the client app's: it has not named its end user.
    """

    address: str = ""
    client: str = ""
    is_client_app: bool = False

    @property
    def fingerprint(self) -> str:
        """The same for the same address of the same client: 12 hex digits, 48 bits, as it is kept in Redis."""
        return _hashed(self.client, self.address)

    @property
    def network_fingerprint(self) -> str:
        """The same for a whole IPv6 /48, of whose 65,536 subnets (/64) one person may have all."""
        return _hashed(self.client, _site(self.address) if self.address.endswith(SUBNET) else self.address)

    @property
    def end_user(self) -> str:
        """The fingerprint, where it is an end user's; "" where nobody knows which of them asks."""
        return "" if self.is_client_app or self.address in ("", UNKNOWN) else self.fingerprint


NOBODY = Requester()


@lru_cache(maxsize=4096)
def _hashed(client: str, address: str) -> str:
    return sha256(f"{client}\n{address}".encode()).hexdigest()[:12]


@lru_cache(maxsize=4096)
def _site(subnet: str) -> str:
    return str(IPv6Network(subnet).supernet(new_prefix=48))
