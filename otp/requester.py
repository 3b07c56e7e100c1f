"""Who asks for a message, or tries a PIN."""

from hashlib import sha256
from typing import NamedTuple


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
        return sha256(f"{self.client}\n{self.address}".encode()).hexdigest()[:12]

    @property
    def end_user(self) -> str:
        """The fingerprint, where it is an end user's; "" where nobody knows which of them asks."""
        return "" if self.is_client_app else self.fingerprint


NOBODY = Requester()
