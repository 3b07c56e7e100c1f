"""One connection to a Redis server that all greenlets of a worker share.

Commands that greenlets send in one turn of the event loop go out in one write, and a reader hands out the replies in
the order of the commands, which is Redis's own. There is no pool that a burst could exhaust: 2,000 saves at once are
one write.

redis-py opens the connection (TLS, AUTH, Sentinel) and reads the replies; hiredis packs the commands and parses.
"""

import secrets
from collections import deque
from collections.abc import Callable
from contextvars import Context
from math import ceil
from time import monotonic
from typing import Any

import gevent
from gevent.hub import Waiter
from redis import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp.redis.failures import ERROR_REPLIES, FAILURES, WRONG_SERVER
from otp.redis.scripts import pack

OPEN_TIMEOUT = 2.0  # seconds to open a connection, with its handshake and the search for the primary
# Waiting is measured in checks, not by the clock: where the worker itself is late, because 2,000 responses came at
# once, Redis is not to blame for replies that wait in the socket.
CHECK_INTERVAL = 0.1  # seconds; one greenlet checks everything that waits, where a timer for each would cost 25 us
SILENCE_TIMEOUT = 1.0  # seconds without a reply, while one is due, after which the connection is closed
IDLE_TIME = 10.0  # seconds without a reply after which the server must answer a PING before it gets commands
PING_TIMEOUT = 0.3  # seconds for that: load balancers drop idle connections and notify neither side
REPLIES_PER_TURN = 1000  # replies that are handed out before other greenlets get their turn


class Batch:
    """The packed commands of one caller, which get `expected` replies within `timeout` seconds."""

    __slots__ = ("_error", "_waiter", "checks_left", "expected", "finished", "packed", "replies")

    def __init__(self, packed: bytes, expected: int, timeout: float) -> None:
        self.packed = packed
        self.expected = expected
        self.checks_left = ceil(timeout / CHECK_INTERVAL)
        self.replies: list[Any] = []
        self._waiter = Waiter()
        self._error: Exception | None = None
        self.finished = False

    def wait(self) -> list[Any]:
        """The replies, errors among them.

        Raises:
            redis.ConnectionError, redis.TimeoutError: whether the commands ran is unknown.
        """
        self._waiter.get()
        if self._error is not None:
            # Each caller gets an exception of its own: a shared one would collect the tracebacks of all.
            raise type(self._error)(*self._error.args) from self._error
        return self.replies

    def finish(self, error: Exception | None = None) -> None:
        """Wake the caller in the next turn of the loop."""
        if self.finished:
            return
        self.finished, self._error = True, error
        self._waiter.hub.loop.run_callback(self._waiter.switch, None)

    def is_overdue(self) -> bool:
        """Count one check; whether it was one too many."""
        self.checks_left -= 1
        return self.checks_left < 0


class _Write:
    """Batches that left together, and a PING with a mark after them.

    Redis echoes the mark after their replies, and only then are these replies believed: with one reply too many, or one
    too few, every caller would get the replies of another one.
    """

    __slots__ = ("batches", "expected", "mark")

    def __init__(self, batches: list[Batch], mark: str) -> None:
        self.batches = batches
        self.mark = mark
        self.expected = sum([batch.expected for batch in batches]) + 1

    def to_bytes(self) -> bytes:
        return b"".join([*[batch.packed for batch in self.batches], pack(("PING", self.mark))])

    def hand_out(self, replies: list[Any]) -> None:
        start = 0
        for batch in self.batches:
            batch.replies = replies[start : start + batch.expected]
            start += batch.expected
            batch.finish()


class _OpenConnection:
    """Sends writes in order, and reads their replies in the same order.

    Args:
        on_retire: called once, when nothing more may be sent over this connection.
    """

    def __init__(self, connection: Connection, on_retire: Callable[["_OpenConnection"], None]) -> None:
        self._connection = connection
        self._on_retire = on_retire
        self._pending: deque[_Write] = deque()
        self._replies: list[Any] = []  # to the first of the pending writes
        self._name, self._writes = secrets.token_hex(4), 0
        self._usable = True
        self._silent_checks = 0
        self.closed = False
        self.last_reply = monotonic()
        _spawn(self._read)

    def send(self, batches: list[Batch]) -> None:
        """Write the batches at once. If that fails, all of them fail."""
        self._writes += 1
        write = _Write(batches, f"{self._name}-{self._writes}")
        self._pending.append(write)
        try:
            self._connection.send_packed_command([write.to_bytes()], check_health=False)
        except FAILURES as e:
            self.close(e)

    def is_waiting(self) -> bool:
        """Whether replies are due."""
        return bool(self._pending)

    def is_alive(self) -> bool:
        """Whether the server answers a PING in time. Waits for it."""
        nothing = Batch(b"", 0, PING_TIMEOUT)
        self.send([nothing])
        try:
            nothing.wait()
        except FAILURES:
            return False
        return self._usable

    def check(self) -> None:
        """Fail overdue batches. Close the connection if it is silent: every other batch would wait as long."""
        self._silent_checks += 1 if self._pending else 0
        overdue = [batch for write in self._pending for batch in write.batches if batch.is_overdue()]
        for batch in overdue:  # its replies are still read, and thrown away: others may have more time
            batch.finish(RedisTimeoutError("no reply in time"))
        if self._silent_checks * CHECK_INTERVAL > (PING_TIMEOUT if overdue else SILENCE_TIMEOUT):
            self.close(RedisTimeoutError("no reply in time"))

    def close(self, error: Exception) -> None:
        """Close the connection. Callers that wait get `error`: whether their commands ran is unknown."""
        if self.closed:
            return
        self.closed = True
        self._retire()
        pending, self._pending = self._pending, deque()
        for batch in [batch for write in pending for batch in write.batches]:
            batch.finish(error)
        self._connection.disconnect()

    def _retire(self) -> None:
        """Send nothing more; pending writes still get their replies."""
        if self._usable:
            self._usable = False
            self._on_retire(self)

    def _read(self) -> None:
        read = 0
        try:
            while self._usable or self._pending:
                self._add(self._next_reply())
                read += 1
                if read % REPLIES_PER_TURN == 0:
                    gevent.sleep(0)
        except FAILURES as e:
            self.close(e)
        self.close(RedisConnectionError("retired"))

    def _next_reply(self) -> Any:
        try:
            # The base class's method: a connection behind Sentinels would end with a READONLY.
            return Connection.read_response(self._connection, disconnect_on_error=False)
        except WRONG_SERVER as e:
            self._retire()
            return e
        except ERROR_REPLIES as e:
            return e

    def _add(self, reply: Any) -> None:
        if not self._pending:
            raise InvalidResponse("a reply without a command")
        self.last_reply, self._silent_checks = monotonic(), 0
        self._replies.append(reply)
        write = self._pending[0]
        if len(self._replies) == write.expected:
            replies, self._replies = self._replies, []
            _check_mark(write.mark, replies)
            self._pending.popleft().hand_out(replies)


class SharedConnection:
    """The connection to one server. It is opened for the first command, and again after it was closed.

    Only for a process that gevent has patched, and for one event loop.

    Args:
        make: makes a redis-py connection that is not open yet, without timeouts.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._make = make
        self._current: _OpenConnection | None = None
        self._open: set[_OpenConnection] = set()  # the current one, and retired ones that still wait for replies
        self._unsent: list[Batch] = []
        self._writer: gevent.Greenlet | None = None
        self._watcher: gevent.Greenlet | None = None
        self._wake = Waiter()
        self._is_asleep = False

    def submit(self, packed: bytes, expected: int, timeout: float) -> Batch:
        """Send commands together with all others of this turn. Returns at once; `wait` for the replies."""
        batch = Batch(packed, expected, timeout)
        self._unsent.append(batch)
        if not self._watcher:  # a greenlet that has ended is false
            self._watcher = _spawn(self._watch)
        if self._is_asleep:
            self._is_asleep = False
            self._wake.hub.loop.run_callback(self._wake.switch, None)
        elif not self._writer:
            self._writer = _spawn(self._write)
        return batch

    def close(self) -> None:
        """Close the connection. The next command opens another one."""
        for connection in [*self._open]:
            connection.close(RedisConnectionError("closed"))

    def _write(self) -> None:
        while True:
            while self._unsent:
                self._write_once()
            self._wake = Waiter()
            self._is_asleep = True
            self._wake.get()

    def _write_once(self) -> None:
        try:
            connection = self._live_connection()
        except FAILURES as e:
            failed, self._unsent = self._unsent, []
            for batch in failed:
                batch.finish(e)
        else:
            batches, self._unsent = self._unsent, []
            connection.send(batches)

    def _live_connection(self) -> _OpenConnection:
        current = self._current
        if current and monotonic() - current.last_reply > IDLE_TIME and not current.is_alive():
            current.close(RedisConnectionError("silent"))
        return self._current or self._connect()

    def _connect(self) -> _OpenConnection:
        connection = self._make()
        try:
            with gevent.Timeout(OPEN_TIMEOUT):
                connection.connect()
        except gevent.Timeout as e:
            connection.disconnect()
            raise RedisTimeoutError("no connection in time") from e
        self._current = _OpenConnection(connection, self._forget)
        self._open.add(self._current)
        return self._current

    def _forget(self, connection: _OpenConnection) -> None:
        if self._current is connection:
            self._current = None

    def _watch(self) -> None:
        """Check what waits. Ends when nothing does: an idle worker must not wake ten times a second."""
        while self._unsent or any(connection.is_waiting() for connection in self._open):
            gevent.sleep(CHECK_INTERVAL)
            for connection in [*self._open]:
                connection.check()
            self._open = {connection for connection in self._open if not connection.closed}
            for batch in self._unsent:
                if batch.is_overdue():
                    batch.finish(RedisTimeoutError("no connection in time"))
            self._unsent = [batch for batch in self._unsent if not batch.finished]


def _check_mark(mark: str, replies: list[Any]) -> None:
    """Raise an error unless the last reply is `mark`, or every reply is an error: then the PING was refused, too."""
    if replies[-1] == mark or all(isinstance(reply, Exception) for reply in replies):
        return
    raise replies[-1] if isinstance(replies[-1], ERROR_REPLIES) else InvalidResponse("replies to other commands")


def _spawn(run: Callable[[], None]) -> gevent.Greenlet:
    """Start a greenlet that belongs to no request: without the context of the request that happened to be first."""
    return Context().run(gevent.spawn, run)
