"""May this SMS be sent? Every gate is asked in one round trip, and all must let it pass."""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

from connection import Client
from errors import OtpError
from phone import region_of
from store import redis_answers


@dataclass(frozen=True)
class Sending:
    """An SMS that somebody asks for. `phone` is E.164, `address` the client's (or its network); "" if unknown.

    `client` is the name of the client app; "" for one without a key. `at` is in Unix seconds: what is undone later
    is taken from the day, and the minute, that it was counted in.
    """

    phone: str
    address: str = ""
    client: str = field(default="", kw_only=True)
    at: float = field(default_factory=time.time, kw_only=True)
    reservation: str = field(default_factory=lambda: secrets.token_hex(8))

    @cached_property
    def region(self) -> str:
        """The phone's ISO 3166 region; "" if it has none."""
        return region_of(self.phone)


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
