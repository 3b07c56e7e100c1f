"""The connections of a worker: bounds how long each waits for its client, and how many there are."""

import time
from typing import Protocol

import gevent

CHECK_INTERVAL = 1.0  # seconds between two checks for overdue connections


class Waiting(Protocol):
    """A connection that waits for its client until `due` (monotonic seconds)."""

    due: float

    def give_up(self) -> None:
        """Stop waiting for the client."""


class Connections:
    """A connection is idle (no byte of its next request has arrived), waits for its client, or is busy.

    One check of all waiting connections per second costs less than a timer for each wait (5 us, several per request).
    With more than `most`, each new one closes the oldest idle one, otherwise the one that has waited longest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: set[Waiting] = set()
        self._idle: dict[Waiting, None] = {}  # the oldest first
        self._waiting: dict[Waiting, None] = {}

    def add(self, connection: Waiting) -> None:
        """Add a connection, which may replace another."""
        self._all.add(connection)
        if len(self._all) > self._most and (oldest := next(iter(self._idle or self._waiting), None)):
            self._give_up(oldest)

    def remove(self, connection: Waiting) -> None:
        """Remove a connection that has ended."""
        self.mark_busy(connection)
        self._all.discard(connection)

    def mark_idle(self, connection: Waiting) -> None:
        """The connection waits for its next request from now on."""
        self._idle[connection] = None

    def mark_waiting(self, connection: Waiting) -> None:
        """The connection waits for more of a request, or to send a response. The first call starts the wait."""
        self._waiting.setdefault(connection)

    def mark_busy(self, connection: Waiting) -> None:
        """The connection does not wait for its client."""
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)

    def close_idle(self) -> None:
        """Stop waiting on idle connections. Requests that have arrived still get responses."""
        for connection in [*self._idle]:
            self._give_up(connection)

    def watch(self) -> None:
        """Check for overdue connections, for ever."""
        while True:
            gevent.sleep(CHECK_INTERVAL)
            self.give_up_overdue(time.monotonic())

    def give_up_overdue(self, now: float) -> None:
        """Stop waiting on all connections that are overdue at `now`."""
        for waiting in (self._idle, self._waiting):
            for connection in [each for each in waiting if each.due <= now]:
                self._give_up(connection)

    def _give_up(self, connection: Waiting) -> None:
        self.mark_busy(connection)
        connection.give_up()
