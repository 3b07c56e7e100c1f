"""Whom a message reaches, read once from what people type."""

from typing import Literal, NamedTuple


class Recipient(NamedTuple):
    """A phone, with its `address` in E.164, or an e-mail address.

    `region` is the phone's ISO 3166 region, also where several share a calling code; "" for what has none.
    """

    kind: Literal["phone", "email"]
    address: str
    region: str = ""
