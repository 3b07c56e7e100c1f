"""A client app's own gate: how many SMS and how many e-mails may be sent for it. Counted like all of them together."""

from collections.abc import Callable, Mapping
from typing import Any

from limits import RateLimitItem

from otp.errors import OtpError, Reason
from otp.redis.scripts import Command
from otp.send_limits.quota import Quota
from otp.send_request import SendRequest


class ClientQuotas:
    """Lets so many sends of each client through: `quotas` by its name. Clients without a quota are not limited.

    `on_full` is called with the reason, the quota and the client where it refuses, and must not block.
    """

    def __init__(
        self, quotas: Mapping[str, RateLimitItem], on_full: Callable[[Reason, RateLimitItem, str], None]
    ) -> None:
        reasons = (Reason.CLIENT_QUOTA, Reason.CLIENT_EMAIL_QUOTA)
        self._gates = {
            name: Quota(quota, quota, _naming(name, on_full), f"client:{name}", reasons)
            for name, quota in quotas.items()
        }

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Count."""
        gate = self._gates.get(send_request.requester.client)
        return gate.reserve(send_request) if gate else []

    def refusal(self, replies: list[Any], send_request: SendRequest) -> OtpError | None:
        """A refusal has the seconds until the client's window has room."""
        gate = self._gates.get(send_request.requester.client)
        return gate.refusal(replies, send_request) if gate else None

    def release(self, send_request: SendRequest) -> list[Command]:
        """Uncount."""
        gate = self._gates.get(send_request.requester.client)
        return gate.release(send_request) if gate else []


def _naming(
    client: str, on_full: Callable[[Reason, RateLimitItem, str], None]
) -> Callable[[Reason, RateLimitItem], None]:
    return lambda reason, limit: on_full(reason, limit, client)
