"""The connections of a worker: how long each may wait for its client, and which give way to new ones."""

import time
from typing import Protocol

import gevent

LOOK = 1.0  # seconds between two looks at who is late


class Waiting(Protocol):
    """A connection that waits for its client until `due` (monotonic seconds)."""

    due: float

    def give_up(self) -> None:
        """Have it wait no longer."""


class Connections:
    """A connection is idle (no byte of a next request is there), waits for the rest of something, or is busy.

    One look a second at all that wait costs less than a timer for each wait (5 us, several a request).
    `most`: with more than these, an idle one gives way to each that comes, else the one that has waited longest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: set[Waiting] = set()
        self._idle: dict[Waiting, None] = {}  # the longest first
        self._waiting: dict[Waiting, None] = {}

    def enter(self, connection: Waiting) -> None:
        """A connection begins, and may take the place of another."""
        self._all.add(connection)
        if len(self._all) > self._most and (oldest := next(iter(self._idle or self._waiting), None)):
            self._give_up(oldest)

    def leave(self, connection: Waiting) -> None:
        """A connection has ended."""
        self.busy(connection)
        self._all.discard(connection)

    def idle(self, connection: Waiting) -> None:
        """It waits for a next request from now on."""
        self._idle[connection] = None

    def wait(self, connection: Waiting) -> None:
        """It waits for the rest of a request, or until its client takes the answer; since the first such call."""
        self._waiting.setdefault(connection)

    def busy(self, connection: Waiting) -> None:
        """It waits for nobody: its request is worked on."""
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)

    def close_idle(self) -> None:
        """Have those end that are idle. What has come is still answered."""
        for connection in [*self._idle]:
            self._give_up(connection)

    def watch(self) -> None:
        """Look for ever after who is late."""
        while True:
            gevent.sleep(LOOK)
            self.end_late(time.monotonic())

    def end_late(self, now: float) -> None:
        """Have all end that wait longer than they may."""
        for waiting in (self._idle, self._waiting):
            for connection in [each for each in waiting if each.due <= now]:
                self._give_up(connection)

    def _give_up(self, connection: Waiting) -> None:
        self.busy(connection)
        connection.give_up()
