"""A request for one message with a PIN, as the limits and the rules see it."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from otp.channels import SMS, Channel
from otp.recipients import Recipient
from otp.requester import NOBODY, Requester


@dataclass(slots=True)
class Reserved:
    """What the limits learned when the recipient's cooldown started.

    `order` is that time by the clock of Redis (microseconds since 1970): of two sends to one recipient, the later one
    has the higher. The clocks of replicas may differ by more than a cooldown. `trusted_by` is the fingerprint of the
    requester that verified the recipient; "" if the recipient is not trusted. `is_trusted_by_operator`: the fraud guard
    must not refuse the send. `unaffordable` are the names of the channels over which another message costs more than is
    left of a budget.
    """

    order: int = 0
    trusted_by: str = ""
    is_trusted_by_operator: bool = False
    unaffordable: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SendRequest:
    """A message that a requester asks for.

    `resends` says how often its PIN is sent once more, this message included. `template` is Infobip's, `placeholders`
    fill it in addition to the PIN, and `sender` replaces its own sender, unless it is "" or the PIN is sent once more.
    `reachable_over` are the names of the channels over which the recipient may be sent to. A new PIN is kept with its
    `purpose` and its `nonce`, or "". `at` is in Unix seconds: a send that is released is taken from the day, and the
    minute, in which it was counted. `counted_in` is the same for limits that take the time of Redis: the part of their
    period, by key.
    """

    recipient: Recipient
    requester: Requester = NOBODY
    channel: Channel = field(default=SMS, kw_only=True)
    template: str = field(default="", kw_only=True)
    placeholders: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    sender: str = field(default="", kw_only=True)
    purpose: str = field(default="", kw_only=True)
    nonce: str = field(default="", kw_only=True)
    reachable_over: Sequence[str] = field(default=(), kw_only=True)
    resends: int = field(default=0, kw_only=True)
    at: float = field(default_factory=time.time, kw_only=True)
    reservation: str = field(default_factory=lambda: secrets.token_hex(8))
    counted_in: dict[str, int] = field(default_factory=dict, kw_only=True, compare=False)
    reserved: Reserved = field(default_factory=Reserved, kw_only=True, compare=False)

    @property
    def next_channels(self) -> list[str]:
        """The names of the channels over which the next message may be asked for, once the limits counted this one."""
        return [name for name in self.reachable_over if name not in self.reserved.unaffordable]

    @property
    def phone(self) -> str:
        """The canonical phone number, by which sends are counted; "" for an e-mail address."""
        return self.recipient.canonical if self.recipient.kind == "phone" else ""

    @property
    def region(self) -> str:
        """The region of the recipient."""
        return self.recipient.region
