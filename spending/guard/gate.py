"""The gate of one kind of scope: is there room for another send that nobody may verify?"""

from collections.abc import Callable
from typing import Any

from connection import Client
from errors import TooManyRequests
from spending.admission import script
from spending.guard.pending import known_key
from spending.guard.scopes import SCRIPTS, Scope, country, key_of
from spending.sending import Sending
from store import redis_answers, replied


class GuardGate:
    """Lets a sending through while its scope has room.

    Args:
        blocks: whether it refuses at all. If not, it counts and `suspects` all the same.
        suspects: hears of each sending that there is no room for, and why; must not block.
    """

    def __init__(self, client: Client, scope: Scope, *, blocks: bool, suspects: Callable[[Sending, str], None]) -> None:
        self._client = client
        self._scope = scope
        self._scripts = SCRIPTS[scope.name]
        self._blocks = blocks
        self._suspects = suspects

    def ask(self, pipe: Any, sending: Sending) -> None:
        """Count, if there is room."""
        if self._scope.of(sending):
            if self._scope.lets_known_pass:
                pipe.execute_command("EXISTS", known_key(sending.phone))
            arguments = self._scope.judge_arguments(sending, anyway=not self._blocks)
            script(pipe, self._scripts.judge, self._keys(sending), *arguments)

    def hear(self, replies: list[Any], sending: Sending) -> TooManyRequests | None:
        """A refusal has the seconds until there is room, if nothing else happens."""
        if not replies:
            return None
        *known, judged = replies
        counted, wait, why = replied(judged, int, int, str)
        if not why:
            return None
        if known == [1]:
            if not counted:
                self._count_anyway(sending)
            return None
        self._suspects(sending, f"{self._scope.name}: {why}")
        return None if counted else TooManyRequests(wait, f"guard_{self._scope.name}")

    def undo(self, pipe: Any, sending: Sending) -> None:
        """Uncount."""
        self.settle(pipe, sending, "undone")

    def settle(self, pipe: Any, sending: Sending, outcome: str) -> None:
        """Put into `pipe` that what was counted is `verified`, or `undone`."""
        if self._scope.of(sending):
            script(pipe, self._scripts.outcome, self._keys(sending), sending.at, country(sending), outcome)

    def _count_anyway(self, sending: Sending) -> None:
        arguments = self._scope.judge_arguments(sending, anyway=True)
        with redis_answers():
            self._client.eval(self._scripts.judge, 1, *self._keys(sending), *arguments)

    def _keys(self, sending: Sending) -> tuple[str]:
        return (key_of(self._scope.name, self._scope.of(sending)),)
