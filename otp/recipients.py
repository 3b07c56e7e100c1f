"""Whom a message reaches, read once from what people type."""

from typing import Literal, NamedTuple

Member = Literal["phoneNumber", "email"]  # of a request's body: whom it is about


class Recipient(NamedTuple):
    """A phone, with its `address` in E.164, or an e-mail address.

    `region` is the phone's ISO 3166 region, also where several share a calling code; "" for what has none, and None
    where nobody has looked.
    """

    kind: Literal["phone", "email"]
    address: str
    region: str | None = None

    @property
    def canonical(self) -> str:
        """One spelling for all addresses of one person: PINs, cooldowns and limits are kept by it."""
        return self.address.lower()

    @property
    def identity(self) -> str:
        """Who has been proven to be there by a PIN that was sent to the address."""
        return self.address

    @property
    def member(self) -> Member:
        """Its member in a request's body."""
        return "email" if self.kind == "email" else "phoneNumber"

    @classmethod
    def at(cls, address: str) -> "Recipient":
        """The one with this phone (E.164) or e-mail address."""
        return cls("email" if "@" in address else "phone", address)
