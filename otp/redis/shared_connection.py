"""One connection to a Redis server that all greenlets of a worker share.

What the greenlets ask for in one turn of the event loop goes out in one write, and a reader hands the replies out in
the order of the commands, as Redis gives them. There is no pool that a burst could exhaust: 2,000 saves at once are one
write.

redis-py opens the connection (TLS, AUTH, Sentinel) and reads the replies; hiredis packs the commands and parses.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Any

import gevent
from gevent.hub import Waiter
from hiredis import pack_command
from redis import AuthenticationError, Connection, RedisError, ResponseError
from redis.exceptions import BusyLoadingError, ClusterDownError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

OPENING = 1.0  # seconds to open a connection, its handshake and the search for the primary included
SILENCE = 1.0  # seconds without a reply, while one is due, after which the connection is given up
IDLE = 10.0  # seconds without a reply after which the server is asked for a sign of life before anything else
SIGN_OF_LIFE = 0.3  # seconds for that: load balancers drop idle connections without a word to either side
LOOK = 0.1  # seconds between two looks for replies that are overdue: one timer for all, where each would cost 25 us
IN_A_ROW = 100  # replies that are handed out before others of the loop have their turn

# Errors that are replies, whatever redis-py derives them from. The others of its errors are the connection's end.
_ERROR_REPLIES = (ResponseError, BusyLoadingError, AuthenticationError)
# A server that answers so is not, or no longer, the one to ask: a new connection may lead to another one.
_WRONG_SERVER = (ReadOnlyError, BusyLoadingError, ClusterDownError, AuthenticationError)
_FAILURES = (RedisError, OSError, UnicodeError)

_PING = pack_command(("PING",))


class Batch:
    """Commands of one caller, packed; `expected` replies belong to it, due at `deadline` (of `time.monotonic`)."""

    __slots__ = ("_error", "_waiter", "deadline", "expected", "packed", "replies")

    def __init__(self, packed: bytes, expected: int, deadline: float) -> None:
        self.packed = packed
        self.expected = expected
        self.deadline = deadline
        self.replies: list[Any] = []
        self._waiter = Waiter()
        self._error: Exception | None = None

    def wait(self) -> list[Any]:
        """The replies; one that is an error is among them.

        Raises:
            redis.ConnectionError, redis.TimeoutError: whether the commands ran is unknown.
        """
        self._waiter.get()
        if self._error is not None:
            # An exception of its own for each caller: a shared one would collect the tracebacks of all.
            raise type(self._error)(*self._error.args) from self._error
        return self.replies

    def finish(self, error: Exception | None = None) -> None:
        """Wake the caller in the next turn of the loop."""
        self._error = error
        self._waiter.hub.loop.run_callback(self._waiter.switch, None)


class _Link:
    """An open connection. Batches leave in order; their replies come back in that order.

    Args:
        on_leave: hears once that nothing more may be sent over this one.
    """

    def __init__(self, connection: Connection, on_leave: Callable[["_Link"], None]) -> None:
        self._connection = connection
        self._on_leave = on_leave
        self._pending: deque[Batch] = deque()
        self._usable = True
        self.ended = False
        self.heard = self._asked = time.monotonic()
        self._reader = _spawn(self._read)

    def send(self, batches: Iterable[Batch]) -> None:
        """Write them all at once. Where that fails, they fail."""
        sent = [*batches]
        if not self._pending:
            self._asked = time.monotonic()
        self._pending.extend(sent)
        try:
            self._connection.send_packed_command([b"".join([batch.packed for batch in sent])], check_health=False)
        except _FAILURES as e:
            self.end(e)

    def is_alive(self) -> bool:
        """Whether the server gives a sign of life in time. Waits for it."""
        ping = Batch(_PING, 1, time.monotonic() + SIGN_OF_LIFE)
        self.send([ping])
        try:
            ping.wait()
        except _FAILURES:
            return False
        return not self.ended

    def end_if_overdue(self, now: float) -> None:
        """End the connection where a reply is overdue: all that wait behind it would wait as long."""
        is_silent = self._pending and now - max(self.heard, self._asked) > SILENCE
        if is_silent or any(batch.deadline < now for batch in self._pending):
            self.end(RedisTimeoutError("no reply in time"))

    def end(self, error: Exception) -> None:
        """Close the connection; whoever waits for a reply over it does not know whether its commands ran."""
        if self.ended:
            return
        self.ended = True
        self._leave()
        self._connection.disconnect()
        pending, self._pending = self._pending, deque()
        for batch in pending:
            batch.finish(error)

    def _leave(self) -> None:
        """Send nothing more; what is under way still gets its replies."""
        if self._usable:
            self._usable = False
            self._on_leave(self)

    def _read(self) -> None:
        handed_out = 0
        try:
            while self._usable or self._pending:
                self._hand_out(self._next_reply())
                handed_out += 1
                if handed_out % IN_A_ROW == 0:
                    gevent.sleep(0)
        except _FAILURES as e:
            self.end(e)
        self.end(RedisConnectionError("left"))

    def _next_reply(self) -> Any:
        try:
            return self._connection.read_response(disconnect_on_error=False)
        except _WRONG_SERVER as e:
            self._leave()
            return e
        except _ERROR_REPLIES as e:
            return e

    def _hand_out(self, reply: Any) -> None:
        if not self._pending:
            raise RedisConnectionError("a reply that nobody asked for")
        self.heard = time.monotonic()
        batch = self._pending[0]
        batch.replies.append(reply)
        if len(batch.replies) == batch.expected:
            self._pending.popleft()
            batch.finish()


class SharedConnection:
    """The connection to one server, opened when it is first used and again after each end.

    Only for a process that gevent has patched, and for one event loop.

    Args:
        make: makes a connection that is not open yet, without timeouts of its own.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._make = make
        self._link: _Link | None = None
        self._links: set[_Link] = set()  # those that were left and still wait for replies, too
        self._unsent: list[Batch] = []
        self._writer: gevent.Greenlet | None = None
        self._watcher: gevent.Greenlet | None = None
        self._wake = Waiter()
        self._is_asleep = False

    def submit(self, packed: bytes, expected: int, deadline: float) -> Batch:
        """Have commands go out with those of all others of this turn. Returns at once; `wait` for the replies."""
        batch = Batch(packed, expected, deadline)
        self._unsent.append(batch)
        if not self._watcher:  # nor one that has ended
            self._watcher = _spawn(self._watch)
        if self._is_asleep:
            self._is_asleep = False
            self._wake.hub.loop.run_callback(self._wake.switch, None)
        elif not self._writer:
            self._writer = _spawn(self._write)
        return batch

    def close(self) -> None:
        """End the connection. The next command opens another one."""
        for link in [*self._links]:
            link.end(RedisConnectionError("closed"))

    def _write(self) -> None:
        while True:
            while self._unsent:
                self._write_once()
            self._wake = Waiter()
            self._is_asleep = True
            self._wake.get()

    def _write_once(self) -> None:
        try:
            link = self._live_link()
        except _FAILURES as e:
            self._fail_unsent(e)
            return
        batches, self._unsent = self._unsent, []
        link.send(batches)

    def _live_link(self) -> _Link:
        link = self._link
        if link and time.monotonic() - link.heard > IDLE and not link.is_alive():
            link.end(RedisConnectionError("silent"))
        return self._link or self._open()

    def _open(self) -> _Link:
        connection = self._make()
        try:
            with gevent.Timeout(OPENING):
                connection.connect()
        except gevent.Timeout as e:
            connection.disconnect()
            raise RedisTimeoutError("no connection in time") from e
        self._link = _Link(connection, self._forget)
        self._links.add(self._link)
        return self._link

    def _forget(self, link: _Link) -> None:
        if self._link is link:
            self._link = None

    def _watch(self) -> None:
        while self._unsent or self._links:
            gevent.sleep(LOOK)
            now = time.monotonic()
            gevent.sleep(0)  # where it was the worker that was late, the reply is there, and read in this turn
            for link in [*self._links]:
                link.end_if_overdue(now)
                if link.ended:
                    self._links.discard(link)
            self._fail_unsent(RedisTimeoutError("no connection in time"), now)

    def _fail_unsent(self, error: Exception, due: float = float("inf")) -> None:
        failed = [batch for batch in self._unsent if batch.deadline < due]
        self._unsent = [batch for batch in self._unsent if batch.deadline >= due]
        for batch in failed:
            batch.finish(error)


def _spawn(run: Callable[[], None]) -> gevent.Greenlet:
    """A greenlet that belongs to no request: without the context of the one that happened to be first."""
    return Context().run(gevent.spawn, run)
