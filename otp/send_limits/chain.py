"""May this SMS be sent? Every gate is asked in one round trip, and all must let it pass."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Protocol

from otp.errors import OtpError
from otp.redis.client import RedisClient
from otp.redis.scripts import Command
from otp.send_request import Sending


class Gate(Protocol):
    """One reason why an SMS may not be sent. Each of its scripts touches the keys of one slot of a Cluster."""

    def ask(self, sending: Sending) -> Sequence[Command]:
        """The commands that count the sending where there is room for it."""

    def hear(self, replies: list[Any], sending: Sending) -> OtpError | None:
        """None if it was counted; else why not."""

    def undo(self, sending: Sending) -> Sequence[Command]:
        """The commands that uncount it."""


class Admission:
    """Lets a sending through all of its gates, or through none. The first to refuse is the one that is heard."""

    def __init__(self, redis: RedisClient, *gates: Gate) -> None:
        self._redis = redis
        self._gates = gates

    def enter(self, sending: Sending) -> None:
        """Pass every gate.

        Raises:
            OtpError: the refusal of a gate.
            StoreUnavailable: Redis did not answer; nothing is let through then.
        """
        commands: list[Command] = []
        ends = [0]
        for gate in self._gates:
            commands += gate.ask(sending)
            ends.append(len(commands))
        replies = self._redis.run(*commands)
        parts = [replies[start:end] for start, end in pairwise(ends)]
        heard = [gate.hear(part, sending) for gate, part in zip(self._gates, parts, strict=True)]
        if refusals := [refusal for refusal in heard if refusal]:
            self._undo(sending, [gate for gate, refusal in zip(self._gates, heard, strict=True) if not refusal])
            raise refusals[0]

    def leave(self, sending: Sending) -> None:
        """Undo `enter` where nothing was sent."""
        self._undo(sending, self._gates)

    def _undo(self, sending: Sending, gates: Iterable[Gate]) -> None:
        if commands := [command for gate in gates for command in gate.undo(sending)]:
            self._redis.run(*commands)
