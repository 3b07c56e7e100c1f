"""A client app's own gate: how many SMS may be sent for it. Counted like all of them together."""

from collections.abc import Mapping
from typing import Any

from limits import RateLimitItem

from connection import Client
from errors import OtpError
from spending.sending import Sending
from spending.total_gate import TotalGate


class ClientGate:
    """Lets so many sends of each client through: `quotas` by its name. Who has none passes."""

    def __init__(self, client: Client, quotas: Mapping[str, RateLimitItem]) -> None:
        self._gates = {
            name: TotalGate(client, quota, f"client:{name}", "client_quota") for name, quota in quotas.items()
        }

    def ask(self, pipe: Any, sending: Sending) -> None:
        """Count."""
        if gate := self._gates.get(sending.client):
            gate.ask(pipe, sending)

    def hear(self, replies: list[Any], sending: Sending) -> OtpError | None:
        """A refusal has the seconds until the client's window has room."""
        gate = self._gates.get(sending.client)
        return gate.hear(replies, sending) if gate else None

    def undo(self, pipe: Any, sending: Sending) -> None:
        """Uncount."""
        if gate := self._gates.get(sending.client):
            gate.undo(pipe, sending)
