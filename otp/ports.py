"""What the rules of sending and verifying say to a store of PINs, and hear of it."""

from typing import NamedTuple


class Claim(NamedTuple):
    """What a request says of the PIN that it means: its client app's, by its verification id, or the client's newest.

    With a `requester` (a fingerprint) it is none but that requester's own.
    """

    client: str = ""
    verification_id: str | None = None
    requester: str = ""


class PendingPin(NamedTuple):
    """A PIN that can be verified for `lifetime` more seconds, and was sent once more `again` times.

    `id_hashes` are its verification ids, as they are kept.
    """

    pin_id: str
    again: int
    lifetime: float
    id_hashes: list[str]


class NoPin(NamedTuple):
    """There is none that can be verified."""


class LockedOut(NamedTuple):
    """There is one, and too many guesses at the recipient's PINs failed."""


class Guess(NamedTuple):
    """One guess at a PIN. `sent_to` is the identity that it proves, `is_last` says that the PIN has no other guess."""

    pin_id: str
    is_last: bool
    id_hashes: list[str]
    sent_to: str
