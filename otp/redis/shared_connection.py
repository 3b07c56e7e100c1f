"""One connection to a Redis server that all greenlets of a worker share.

What the greenlets ask for in one turn of the event loop goes out in one write, and a reader hands the replies out in
the order of the commands, as Redis gives them. There is no pool that a burst could exhaust: 2,000 saves at once are one
write.

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

OPENING = 2.0  # seconds to open a connection, its handshake and the search for the primary included
# What is waited for is counted in looks, not by the clock: where it is the worker that is late, because 2,000 answers
# came at once, replies that lie in the socket are no fault of Redis'.
LOOK = 0.1  # seconds between two looks; one greenlet for all that waits, where a timer for each would cost 25 us
SILENCE = 1.0  # seconds without a reply, while one is due, after which the connection is given up
IDLE = 10.0  # seconds without a reply after which the server is asked for a sign of life before anything else
SIGN_OF_LIFE = 0.3  # seconds for that: load balancers drop idle connections without a word to either side
IN_A_ROW = 1000  # replies that are handed out before others of the loop have their turn


class Batch:
    """Commands of one caller, packed; `expected` replies belong to it, for which there are `patience` seconds."""

    __slots__ = ("_error", "_waiter", "expected", "finished", "looks_left", "packed", "replies")

    def __init__(self, packed: bytes, expected: int, patience: float) -> None:
        self.packed = packed
        self.expected = expected
        self.looks_left = ceil(patience / LOOK)
        self.replies: list[Any] = []
        self._waiter = Waiter()
        self._error: Exception | None = None
        self.finished = False

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
        if self.finished:
            return
        self.finished, self._error = True, error
        self._waiter.hub.loop.run_callback(self._waiter.switch, None)

    def is_overdue(self) -> bool:
        """Look once more; whether that was once too often."""
        self.looks_left -= 1
        return self.looks_left < 0


class _Write:
    """Batches that left together, and the mark behind them.

    Redis says the mark again behind their replies. Only then are these believed: one reply too many, or one too few,
    would hand everybody the reply of somebody else.
    """

    __slots__ = ("batches", "expected", "mark")

    def __init__(self, batches: list[Batch], mark: str) -> None:
        self.batches = batches
        self.mark = mark
        self.expected = sum([batch.expected for batch in batches]) + 1

    def packed(self) -> bytes:
        return b"".join([*[batch.packed for batch in self.batches], pack(("PING", self.mark))])

    def hand_out(self, replies: list[Any]) -> None:
        start = 0
        for batch in self.batches:
            batch.replies = replies[start : start + batch.expected]
            start += batch.expected
            batch.finish()


class _Link:
    """An open connection. Writes leave in order; their replies come back in that order.

    Args:
        on_leave: hears once that nothing more may be sent over this one.
    """

    def __init__(self, connection: Connection, on_leave: Callable[["_Link"], None]) -> None:
        self._connection = connection
        self._on_leave = on_leave
        self._pending: deque[_Write] = deque()
        self._replies: list[Any] = []  # to the first of them
        self._name, self._writes = secrets.token_hex(4), 0
        self._usable = True
        self._silent_looks = 0
        self.ended = False
        self.heard = monotonic()
        _spawn(self._read)

    def send(self, batches: list[Batch]) -> None:
        """Write them all at once. Where that fails, they fail."""
        self._writes += 1
        write = _Write(batches, f"{self._name}-{self._writes}")
        self._pending.append(write)
        try:
            self._connection.send_packed_command([write.packed()], check_health=False)
        except FAILURES as e:
            self.end(e)

    def is_alive(self) -> bool:
        """Whether the server gives a sign of life in time. Waits for it."""
        nothing = Batch(b"", 0, SIGN_OF_LIFE)
        self.send([nothing])
        try:
            nothing.wait()
        except FAILURES:
            return False
        return self._usable

    def look(self) -> None:
        """Give up the batches that are overdue, and the connection where nothing is heard: all would wait as long."""
        self._silent_looks += 1 if self._pending else 0
        overdue = [batch for write in self._pending for batch in write.batches if batch.is_overdue()]
        for batch in overdue:  # others may have longer; its replies are read, and are nobody's
            batch.finish(RedisTimeoutError("no reply in time"))
        if self._silent_looks * LOOK > (SIGN_OF_LIFE if overdue else SILENCE):
            self.end(RedisTimeoutError("no reply in time"))

    def end(self, error: Exception) -> None:
        """Close the connection; whoever waits for a reply over it does not know whether its commands ran."""
        if self.ended:
            return
        self.ended = True
        self._leave()
        pending, self._pending = self._pending, deque()
        for batch in [batch for write in pending for batch in write.batches]:
            batch.finish(error)
        self._connection.disconnect()

    def _leave(self) -> None:
        """Send nothing more; what is under way still gets its replies."""
        if self._usable:
            self._usable = False
            self._on_leave(self)

    def _read(self) -> None:
        read = 0
        try:
            while self._usable or self._pending:
                self._take(self._next_reply())
                read += 1
                if read % IN_A_ROW == 0:
                    gevent.sleep(0)
        except FAILURES as e:
            self.end(e)
        self.end(RedisConnectionError("left"))

    def _next_reply(self) -> Any:
        try:
            # Connection's own: that of a connection behind Sentinels makes the connection's end of a READONLY.
            return Connection.read_response(self._connection, disconnect_on_error=False)
        except WRONG_SERVER as e:
            self._leave()
            return e
        except ERROR_REPLIES as e:
            return e

    def _take(self, reply: Any) -> None:
        if not self._pending:
            raise InvalidResponse("a reply that nobody asked for")
        self.heard, self._silent_looks = monotonic(), 0
        self._replies.append(reply)
        write = self._pending[0]
        if len(self._replies) == write.expected:
            replies, self._replies = self._replies, []
            _check_mark(write.mark, replies)
            self._pending.popleft().hand_out(replies)


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

    def submit(self, packed: bytes, expected: int, patience: float) -> Batch:
        """Have commands go out with those of all others of this turn. Returns at once; `wait` for the replies."""
        batch = Batch(packed, expected, patience)
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
        except FAILURES as e:
            failed, self._unsent = self._unsent, []
            for batch in failed:
                batch.finish(e)
        else:
            batches, self._unsent = self._unsent, []
            link.send(batches)

    def _live_link(self) -> _Link:
        link = self._link
        if link and monotonic() - link.heard > IDLE and not link.is_alive():
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
            for link in [*self._links]:
                link.look()
            self._links = {link for link in self._links if not link.ended}
            for batch in self._unsent:
                if batch.is_overdue():
                    batch.finish(RedisTimeoutError("no connection in time"))
            self._unsent = [batch for batch in self._unsent if not batch.finished]


def _check_mark(mark: str, replies: list[Any]) -> None:
    """Raises what is wrong with the last reply, which is `mark`, or one refusal more where everything is refused."""
    if replies[-1] == mark or all(isinstance(reply, Exception) for reply in replies):
        return
    raise replies[-1] if isinstance(replies[-1], ERROR_REPLIES) else InvalidResponse("replies of others")


def _spawn(run: Callable[[], None]) -> gevent.Greenlet:
    """A greenlet that belongs to no request: without the context of the one that happened to be first."""
    return Context().run(gevent.spawn, run)
