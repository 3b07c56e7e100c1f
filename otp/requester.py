"""Who asks for a message, or tries a PIN."""

from hashlib import sha256
from typing import NamedTuple


class Requester(NamedTuple):
    """`address` is the end user's (or that of its network), "" if unknown; `client` the name of the client app, "" for
    one without a key.
    """

    address: str = ""
    client: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same address of the same client: 12 hex digits, 48 bits, as it is kept in Redis."""
        return sha256(f"{self.client}\n{self.address}".encode()).hexdigest()[:12]


NOBODY = Requester()
