"""What the rules of sending and verifying need: a store, a provider, the limits on sends, and a tracker of status.

The contract on one page; the docstrings of `store.py` and `infobip_client.py`, which keep it, have the details. Errors
are those of `otp.errors`; times are in seconds.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from otp.recipients import Recipient
from otp.requester import Requester
from otp.send_request import SendRequest


class Claim(NamedTuple):
    """Which PIN a request means: the one of its client app with this verification id, or the client's newest.

    With a `requester` (a fingerprint), only a PIN that this requester asked for is meant; with a `purpose`, only one
    that was sent for it ("": for none). None means that any purpose will do.
    """

    client: str = ""
    verification_id: str | None = None
    requester: str = ""
    purpose: str | None = None


class SentPin(NamedTuple):
    """A PIN that the provider has sent; `message_id` where it will report the delivery of that message."""

    pin_id: str
    message_id: str | None = None


class PendingPin(NamedTuple):
    """A PIN that can be verified for `lifetime` more seconds, and was sent once more `resends` times.

    `id_hashes` are its verification ids, as they are kept; `nonce` is that of its send, or "".
    """

    pin_id: str
    resends: int
    lifetime: float
    id_hashes: list[str]
    nonce: str = ""


class Guess(NamedTuple):
    """A counted guess at a PIN. `sent_to` is the identity that the PIN proves, `is_last` whether no guess is left.

    `nonce` is that of the send, or "".
    """

    pin_id: str
    is_last: bool
    id_hashes: list[str]
    sent_to: str
    nonce: str = ""


class NoPin(NamedTuple):
    """No PIN that can be verified is meant."""


class LockedOut(NamedTuple):
    """A PIN is meant, but too many guesses at the recipient's PINs have failed."""


class PinStore(Protocol):
    """Keeps PINs. Each method is one atomic step, and raises StoreUnavailable where the store fails."""

    def save(self, send_request: SendRequest, pin_id: str, verification_id: str, lifetime: float) -> list[str]:
        """Keep a PIN that was sent; returns the `id_hashes` of the PIN that it replaced, if any."""

    def pending(self, recipient: Recipient, claim: Claim) -> PendingPin | NoPin:
        """Find the PIN that is meant, if it can be verified."""

    def count_resend(self, send_request: SendRequest, pin: PendingPin, verification_id: str | None = None) -> bool:
        """Count a resend and add the id to the PIN, if there is one; False if the PIN is gone."""

    def attempt(self, recipient: Recipient, claim: Claim) -> Guess | LockedOut | NoPin:
        """Count a guess at the PIN that is meant."""

    def refund_attempt(self, recipient: Recipient, pin_id: str, *, was_not_checked: bool) -> None:
        """Uncount the recipient's failure; and the guess at the PIN, if it was certainly not checked."""

    def consume(self, recipient: Recipient, pin_id: str, requester: Requester) -> bool:
        """Use the PIN up; True for exactly one caller."""

    def drop(self, recipient: Recipient, pin_id: str) -> bool:
        """Stop finding a PIN that the provider does not know any more; False if it was not found before either.

        A request that the provider has already told that the PIN is right can still consume it.
        """


class PinProvider(Protocol):
    """Makes PINs, sends them and checks them. Raises PinGone for a PIN that it does not know any more."""

    def send_pin(self, send_request: SendRequest) -> SentPin:
        """Make a PIN and send it."""

    def resend_pin(self, pin_id: str, send_request: SendRequest) -> SentPin:
        """Send the same PIN once more."""

    def verify_pin(self, pin_id: str, pin: str) -> bool:
        """Whether `pin` is right."""


class Limits(Protocol):
    """Counts sends in every limit."""

    def reserve(self, send_request: SendRequest) -> None:
        """Count the send. Raises TooManyRequests, BudgetExhausted or PhoneNumberNotAllowed, and counts nothing, where a
        limit has no room."""

    def release(self, send_request: SendRequest) -> None:
        """Uncount the send."""


class StatusTracker(Protocol):
    """Keeps the status of PINs for clients. Returns at once and raises nothing."""

    def message_sent(
        self,
        send_request: SendRequest,
        message_id: str | None,
        verification_id: str | None,
        id_hashes: Sequence[str] = (),
    ) -> None:
        """A message with the PIN of these ids was sent; a report of its delivery follows if it has a `message_id`."""

    def pin_verified(self, recipient: Recipient, id_hashes: Sequence[str]) -> None:
        """The PIN was accepted."""

    def pin_ended(self, id_hashes: Sequence[str]) -> None:
        """The PIN was replaced, or has no guess left."""
