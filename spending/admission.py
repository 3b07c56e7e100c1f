"""May this SMS be sent? Every gate is asked in one round trip, and all must let it pass."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Protocol

from connection import Client
from errors import OtpError
from spending.sending import Sending
from store import redis_answers


class Gate(Protocol):
    """One reason why an SMS may not be sent. Each of its scripts touches the keys of one slot of a Cluster."""

    def ask(self, pipe: Any, sending: Sending) -> None:
        """Put into `pipe` the commands that count the sending where there is room for it."""

    def hear(self, replies: list[Any], sending: Sending) -> OtpError | None:
        """None if it was counted; else why not."""

    def undo(self, pipe: Any, sending: Sending) -> None:
        """Put into `pipe` the commands that uncount it."""


class Admission:
    """Lets a sending through all of its gates, or through none. The first to refuse is the one that is heard."""

    def __init__(self, client: Client, *gates: Gate) -> None:
        self._client = client
        self._gates = gates

    def enter(self, sending: Sending) -> None:
        """Pass every gate.

        Raises:
            OtpError: the refusal of a gate.
            StoreUnavailable: Redis did not answer; nothing is let through then.
        """
        pipe = self._pipeline()
        ends = [0]
        for gate in self._gates:
            gate.ask(pipe, sending)
            ends.append(len(pipe))
        with redis_answers():
            replies = pipe.execute()
        parts = [replies[start:end] for start, end in pairwise(ends)]
        heard = [gate.hear(part, sending) for gate, part in zip(self._gates, parts, strict=True)]
        if refusals := [refusal for refusal in heard if refusal]:
            self._undo(sending, [gate for gate, refusal in zip(self._gates, heard, strict=True) if not refusal])
            raise refusals[0]

    def leave(self, sending: Sending) -> None:
        """Undo `enter` where nothing was sent."""
        self._undo(sending, self._gates)

    def _undo(self, sending: Sending, gates: Iterable[Gate]) -> None:
        pipe = self._pipeline()
        for gate in gates:
            gate.undo(pipe, sending)
        if len(pipe):
            with redis_answers():
                pipe.execute()

    def _pipeline(self) -> Any:
        return self._client.pipeline(transaction=False)


def script(pipe: Any, text: str, keys: tuple[str, ...], *arguments: str | float) -> None:
    """Put a script into `pipe`; a Cluster's pipeline takes EVAL only by its name."""
    pipe.execute_command("EVAL", text, len(keys), *keys, *arguments)
