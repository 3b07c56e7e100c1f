"""How the service asks Redis: one round trip, one deadline, and one error for all that goes wrong."""

import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError, TryAgainError

from otp.errors import StoreUnavailable
from otp.redis.administration import Administration
from otp.redis.failures import FAILURES, NOT_RUN, UNREACHABLE
from otp.redis.keys import PREFIX
from otp.redis.nodes import REPLIES, Nodes, Refusals, blocking_client, nodes
from otp.redis.scripts import Command, in_full, with_prefix
from otp.telemetry.calls import TimedRedisCall

SURELY = 1.5  # seconds that `run_surely` has: a refusal must be out within 2 s
PAUSE = 0.05  # seconds before it asks again
LEAST = 0.3  # seconds; asked for less, nobody could answer
MOST_REFUSALS = 3  # in a row, of one command; while a slot moves, as many as there is time for


class RedisClient:
    """A worker's one way to Redis. Make it in the process that uses it; it connects when it is first used.

    Nobody else writes `prefix`: it goes before each key on the way out, and is taken from those that are found.
    """

    def __init__(self, nodes: Nodes, url: str, prefix: str) -> None:
        self._nodes = nodes
        self._url = url
        self.prefix = prefix

    def __enter__(self) -> "RedisClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._nodes.close()

    def run(self, *commands: Command) -> list[Any]:
        """Run the commands in one round trip; returns their replies. In a Cluster, the nodes are asked at once.

        A command that Redis refused without running it (NOSCRIPT, MOVED, READONLY, LOADING ...) is asked again. One
        whose reply was lost never is: it may have run.

        Raises:
            StoreUnavailable: Redis was silent for a second, took over 1.5 s, or refused. What ran is unknown.
        """
        return self._timed(commands, again=0.0)

    def run_surely(self, *commands: Command) -> list[Any]:
        """Run commands that do no harm when they run twice: where a reply was lost, they are asked again, for 1.5 s.

        Raises:
            StoreUnavailable: as `run`.
        """
        return self._timed(commands, again=SURELY)

    def administration(self) -> Administration:
        """The same servers, for what an operator wants to know. For commands at the terminal."""
        return Administration(blocking_client(self._url), self.prefix)

    def _timed(self, commands: Sequence[Command], again: float) -> list[Any]:
        commands = [with_prefix(self.prefix, command) for command in commands]
        try:
            with TimedRedisCall(UNREACHABLE):
                return self._run_until(commands, time.monotonic() + again) if again else self._run(commands)
        except FAILURES as e:
            raise StoreUnavailable(retry_after=1) from e

    def _run_until(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        while True:
            try:
                return self._run(commands, min(REPLIES, deadline - time.monotonic()))
            except FAILURES:
                if time.monotonic() + PAUSE + LEAST >= deadline:
                    raise
            time.sleep(PAUSE)

    def _run(self, commands: Sequence[Command], patience: float = REPLIES) -> list[Any]:
        commands, began = [*commands], time.monotonic()
        replies = self._nodes.ask(commands, patience)
        refusals = 0
        while errors := [reply for reply in replies if isinstance(reply, Exception)]:
            failed = [error for error in errors if not isinstance(error, NOT_RUN)]
            refusals = 0 if _is_moving(errors) else refusals + 1
            left = patience - (time.monotonic() - began)
            if failed or refusals > MOST_REFUSALS or left <= 0:
                raise [*failed, *errors][0]
            replies = self._ask_again(commands, replies, max(LEAST, left))
        return replies

    def _ask_again(self, commands: list[Command], replies: list[Any], patience: float) -> list[Any]:
        refused = [place for place, reply in enumerate(replies) if isinstance(reply, NOT_RUN)]
        refusals: Refusals = [replies[place] for place in refused]
        if _is_moving(refusals):
            time.sleep(PAUSE)
        for place in refused:  # once in full, always in full: a slot that moves is asked of both nodes in turn
            commands[place] = _without_sha(commands[place], replies[place])
        again = [commands[place] for place in refused]
        for place, reply in zip(refused, self._nodes.ask(again, patience, refusals), strict=True):
            replies[place] = reply
        return replies


def _is_moving(refusals: Refusals) -> bool:
    """Whether a slot's keys are on their way from one node to another: a script is run where all of its keys are."""
    return any(isinstance(refusal, TryAgainError) for refusal in refusals)


def _without_sha(command: Command, refusal: Exception) -> Command:
    return in_full(command) if isinstance(refusal, NoScriptError) else command


def connect(url: str, prefix: str = PREFIX) -> RedisClient:
    """Make a client for `url`, which `url.check` lets through; its keys begin with `prefix`. Contacts nobody yet."""
    return RedisClient(nodes(url), url, prefix)
