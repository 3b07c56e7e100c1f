"""The limit on the unverified sends of one kind of scope."""

from collections.abc import Callable
from typing import Any, Literal

from otp.errors import Reason, TooManyRequests
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members, number
from otp.redis.scripts import Command
from otp.send_limits.fraud_guard.scopes import SCRIPTS, ReserveMode, Scope
from otp.send_request import SendRequest


class FraudLimit:
    """Lets a send through while its scope has room.

    Args:
        blocks: whether it refuses a send that there is no room for. If not, it only counts it.
        on_suspicion: called with each send that there is no room for, and the reason; must not block.
    """

    def __init__(
        self, redis: RedisClient, scope: Scope, *, blocks: bool, on_suspicion: Callable[[SendRequest, str], None]
    ) -> None:
        self._redis = redis
        self._scope = scope
        self._scripts = SCRIPTS[scope.name]
        self._mode: ReserveMode = "block" if blocks else "monitor"
        self._on_suspicion = on_suspicion

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Count the send, if there is room."""
        if not self._scope.of(send_request):
            return []
        return [self._reserve(send_request, self._mode)]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> TooManyRequests | None:
        """A refusal has the seconds until there is room, if no other send is counted or verified until then."""
        if not replies:
            return None
        counted, wait, why = members(replies[0], int, int, str)
        if not why:
            return None
        if self._passes(send_request):
            if not counted:
                self._redis.run(self._reserve(send_request, "force"))
            return None
        self._on_suspicion(send_request, f"{self._scope.name}: {why}")
        return None if counted else TooManyRequests(wait, self._scope.reason)

    def release(self, send_request: SendRequest) -> list[Command]:
        """Uncount the send."""
        return self.record_result(send_request, "released")

    def look(self, send_request: SendRequest) -> list[Command]:
        """Read until when the scope is full."""
        return [("HMGET", *self._keys(send_request), "until")] if self._scope.of(send_request) else []

    def reasons(self, replies: list[Any], send_request: SendRequest) -> dict[Reason, float]:
        """The scope, once a send was refused in it."""
        passes = not replies or self._mode == "monitor" or self._passes(send_request)
        return {} if passes else {self._scope.reason: number(replies[0][0])}

    def record_result(self, send_request: SendRequest, result: Literal["verified", "released"]) -> list[Command]:
        """The commands that record what a counted send led to."""
        if not self._scope.of(send_request):
            return []
        return [self._scripts.record_result(self._keys(send_request), send_request.at, send_request.region, result)]

    def _reserve(self, send_request: SendRequest, mode: ReserveMode) -> Command:
        at, region = send_request.at, send_request.region
        return self._scripts.reserve(self._keys(send_request), at, region, self._scope.allowance, mode)

    def _passes(self, send_request: SendRequest) -> bool:
        trusted_by = send_request.reserved.trusted_by
        if send_request.reserved.is_trusted_by_operator:
            return True
        return bool(trusted_by) and (self._scope.passes_trusted or trusted_by == send_request.requester.fingerprint)

    def _keys(self, send_request: SendRequest) -> tuple[str]:
        return (keys.guard_scope(self._scope.name, self._scope.of(send_request)),)
