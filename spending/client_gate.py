"""A client app's own gate: how many SMS and how many e-mails may be sent for it. Counted like all of them together."""

from collections.abc import Mapping
from typing import Any

from limits import RateLimitItem

from errors import OtpError
from otp.redis.scripts import Command
from spending.sending import Sending
from spending.total_gate import TotalGate


class ClientGate:
    """Lets so many sends of each client through: `quotas` by its name. Who has none passes."""

    def __init__(self, quotas: Mapping[str, RateLimitItem]) -> None:
        reasons = ("client_quota", "client_email_quota")
        self._gates = {name: TotalGate(quota, quota, f"client:{name}", reasons) for name, quota in quotas.items()}

    def ask(self, sending: Sending) -> list[Command]:
        """Count."""
        gate = self._gates.get(sending.requester.client)
        return gate.ask(sending) if gate else []

    def hear(self, replies: list[Any], sending: Sending) -> OtpError | None:
        """A refusal has the seconds until the client's window has room."""
        gate = self._gates.get(sending.requester.client)
        return gate.hear(replies, sending) if gate else None

    def undo(self, sending: Sending) -> list[Command]:
        """Uncount."""
        gate = self._gates.get(sending.requester.client)
        return gate.undo(sending) if gate else []
