"""A client app's own gate: how many SMS and how many e-mails may be sent for it. Counted like all of them together."""

from collections.abc import Callable, Mapping
from typing import Any

from limits import RateLimitItem

from otp.errors import OtpError
from otp.redis.scripts import Command
from otp.send_limits.quota import TotalGate
from otp.send_request import Sending


class ClientGate:
    """Lets so many sends of each client through: `quotas` by its name. Clients without a quota are not limited.

    `on_full` is called with the reason, the quota and the client where it refuses, and must not block.
    """

    def __init__(self, quotas: Mapping[str, RateLimitItem], on_full: Callable[[str, RateLimitItem, str], None]) -> None:
        reasons = ("client_quota", "client_email_quota")
        self._gates = {
            name: TotalGate(quota, quota, _naming(name, on_full), f"client:{name}", reasons)
            for name, quota in quotas.items()
        }

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


def _naming(client: str, on_full: Callable[[str, RateLimitItem, str], None]) -> Callable[[str, RateLimitItem], None]:
    return lambda reason, limit: on_full(reason, limit, client)
