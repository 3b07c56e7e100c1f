"""Runs commands in Redis: one round trip, one deadline, and one error for everything that goes wrong."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from redis.exceptions import NoScriptError, TryAgainError

from otp.errors import StoreUnavailable
from otp.redis.administration import Administration
from otp.redis.failures import FAILURES, NOT_RUN, UNREACHABLE
from otp.redis.keys import PREFIX
from otp.redis.nodes import REPLY_TIMEOUT, Nodes, Refusals, nodes
from otp.redis.scripts import Command, in_full, with_prefix
from otp.telemetry.calls import time_redis_call

REPEAT_TIMEOUT = 1.5  # seconds for all tries of `run_idempotent`: a refusal must be out within 2 s
REPEAT_PAUSE = 0.05  # seconds between two tries
MIN_TIMEOUT = 0.3  # seconds of a try; no server could reply in less
MAX_REFUSALS = 3  # of one command, in a row; while a slot moves, as many as there is time for


class RedisClient:
    """A worker's only way to Redis. Make it in the process that uses it; the first command opens the connection.

    It puts `prefix` before each key of a command: no other code knows the prefix.
    """

    def __init__(self, nodes: Nodes, prefix: str) -> None:
        self._nodes = nodes
        self.prefix = prefix

    def __enter__(self) -> "RedisClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._nodes.close()

    def run(self, *commands: Command) -> list[Any]:
        """Run the commands in one round trip; returns their replies. In a Cluster, nodes run theirs concurrently.

        A command that Redis refused without running it (NOSCRIPT, MOVED, READONLY, LOADING ...) is repeated. A command
        whose reply was lost is not: it may have run.

        Raises:
            StoreUnavailable: Redis was silent for a second, took over 1.5 s, or refused. What ran is unknown.
        """
        return self._time_call(commands, self._run)

    def run_idempotent(self, *commands: Command) -> list[Any]:
        """Run commands that do no harm when they run twice: if a reply was lost, they are repeated, for 1.5 s.

        Raises:
            StoreUnavailable: as `run`.
        """
        return self._time_call(commands, self._run_repeatedly)

    def administration(self) -> Administration:
        """The same servers, for operators. Only for commands at the terminal."""
        return Administration(self._nodes, self.prefix)

    def _time_call(self, commands: Sequence[Command], run: Callable[[Sequence[Command]], list[Any]]) -> list[Any]:
        commands = [with_prefix(self.prefix, command) for command in commands]
        try:
            return time_redis_call(partial(run, commands), UNREACHABLE)
        except FAILURES as e:
            raise StoreUnavailable(retry_after=1) from e

    def _run_repeatedly(self, commands: Sequence[Command]) -> list[Any]:
        deadline = time.monotonic() + REPEAT_TIMEOUT
        while True:
            try:
                return self._run(commands, min(REPLY_TIMEOUT, deadline - time.monotonic()))
            except FAILURES:
                if time.monotonic() + REPEAT_PAUSE + MIN_TIMEOUT >= deadline:
                    raise
            time.sleep(REPEAT_PAUSE)

    def _run(self, commands: Sequence[Command], timeout: float = REPLY_TIMEOUT) -> list[Any]:
        commands, began = [*commands], time.monotonic()
        replies = self._nodes.execute(commands, timeout)
        refusals = 0
        while errors := [reply for reply in replies if isinstance(reply, Exception)]:
            failed = [error for error in errors if not isinstance(error, NOT_RUN)]
            refusals = 0 if _is_moving(errors) else refusals + 1
            left = timeout - (time.monotonic() - began)
            if failed or refusals > MAX_REFUSALS or left <= 0:
                raise [*failed, *errors][0]
            replies = self._repeat_refused(commands, replies, max(MIN_TIMEOUT, left))
        return replies

    def _repeat_refused(self, commands: list[Command], replies: list[Any], timeout: float) -> list[Any]:
        refused = [place for place, reply in enumerate(replies) if isinstance(reply, NOT_RUN)]
        refusals: Refusals = [replies[place] for place in refused]
        if _is_moving(refusals):
            time.sleep(REPEAT_PAUSE)
        for place in refused:  # once in full, always in full: while a slot moves, its two nodes get the command in turn
            commands[place] = _without_sha(commands[place], replies[place])
        repeated = [commands[place] for place in refused]
        for place, reply in zip(refused, self._nodes.execute(repeated, timeout, refusals), strict=True):
            replies[place] = reply
        return replies


def _is_moving(refusals: Refusals) -> bool:
    """Whether a slot is moving between two nodes: a script can run only where all of its keys are."""
    return any(isinstance(refusal, TryAgainError) for refusal in refusals)


def _without_sha(command: Command, refusal: Exception) -> Command:
    return in_full(command) if isinstance(refusal, NoScriptError) else command


def connect(url: str, prefix: str = PREFIX) -> RedisClient:
    """Make a client for `url`, which `url.parse` accepts; its keys begin with `prefix`. Opens no connection yet."""
    return RedisClient(nodes(url), prefix)
