"""The quotas of client apps: how many SMS, and how many e-mails, may be sent for each of them."""

from collections.abc import Callable, Mapping
from typing import Any

from limits import RateLimitItem

from otp.errors import OtpError, Reason
from otp.redis.scripts import Command
from otp.send_limits.quota import Quota
from otp.send_request import SendRequest


class ClientQuotas:
    """Limits the sends of each client with a quota; `quotas` are by the client's name. Other clients are not limited.

    `on_full` is called with the reason, the quota and the client when a send is refused, and must not block.
    """

    def __init__(
        self, quotas: Mapping[str, RateLimitItem], on_full: Callable[[Reason, RateLimitItem, str], None]
    ) -> None:
        self._quotas = {client: Quota(limit, limit, on_full, client) for client, limit in quotas.items()}

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Count the send."""
        quota = self._quotas.get(send_request.requester.client)
        return quota.reserve(send_request) if quota else []

    def refusal(self, replies: list[Any], send_request: SendRequest) -> OtpError | None:
        """A refusal has the seconds until the client's window has room."""
        quota = self._quotas.get(send_request.requester.client)
        return quota.refusal(replies, send_request) if quota else None

    def release(self, send_request: SendRequest) -> list[Command]:
        """Uncount the send."""
        quota = self._quotas.get(send_request.requester.client)
        return quota.release(send_request) if quota else []
