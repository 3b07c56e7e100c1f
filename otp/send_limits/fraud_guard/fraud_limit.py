"""The gate of one kind of scope: is there room for another send that nobody may verify?"""

from collections.abc import Callable
from typing import Any

from otp.errors import Reason, TooManyRequests
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import members
from otp.redis.scripts import Command
from otp.send_limits.fraud_guard.scopes import SCRIPTS, Mode, Scope, country
from otp.send_request import SendRequest


class FraudLimit:
    """Lets a sending through while its scope has room.

    Args:
        blocks: whether it refuses at all. If not, it counts and `suspects` all the same.
        suspects: hears of each sending that there is no room for, and why; must not block.
    """

    def __init__(
        self, redis: RedisClient, scope: Scope, *, blocks: bool, suspects: Callable[[SendRequest, str], None]
    ) -> None:
        self._redis = redis
        self._scope = scope
        self._scripts = SCRIPTS[scope.name]
        self._mode: Mode = "block" if blocks else "monitor"
        self._suspects = suspects

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Count, if there is room."""
        if not self._scope.of(send_request):
            return []
        judge = self._scripts.judge(self._keys(send_request), *self._scope.judge_arguments(send_request, self._mode))
        return [judge]

    def refusal(self, replies: list[Any], send_request: SendRequest) -> TooManyRequests | None:
        """A refusal has the seconds until there is room, if nothing else happens."""
        if not replies:
            return None
        counted, wait, why = members(replies[0], int, int, str)
        if not why:
            return None
        if self._passes(send_request):
            if not counted:
                self._count_anyway(send_request)
            return None
        self._suspects(send_request, f"{self._scope.name}: {why}")
        return None if counted else TooManyRequests(wait, Reason(f"guard_{self._scope.name}"))

    def release(self, send_request: SendRequest) -> list[Command]:
        """Uncount."""
        return self.settle(send_request, "undone")

    def settle(self, send_request: SendRequest, outcome: str) -> list[Command]:
        """The commands that note that what was counted is `verified`, or `undone`."""
        if not self._scope.of(send_request):
            return []
        return [self._scripts.outcome(self._keys(send_request), send_request.at, country(send_request), outcome)]

    def _passes(self, send_request: SendRequest) -> bool:
        trusted_by = send_request.reserved.trusted_by
        return bool(trusted_by) and (self._scope.lets_known_pass or trusted_by == send_request.requester.fingerprint)

    def _count_anyway(self, send_request: SendRequest) -> None:
        arguments = self._scope.judge_arguments(send_request, "count")
        self._redis.run(self._scripts.judge(self._keys(send_request), *arguments))

    def _keys(self, send_request: SendRequest) -> tuple[str]:
        return (keys.guard_scope(self._scope.name, self._scope.of(send_request)),)
