"""A client's socket: it waits for a client only so long, and lets others run before it reads again."""

import socket
import struct
import time
from contextlib import suppress

from gevent import get_hub

from otp.server.connections import Connections

IDLE = 75  # seconds for a next request: more than the 60 for which load balancers keep a connection
PATIENCE = 5.0  # seconds for a whole head, and for a whole body
PROGRESS = 12.0  # seconds in which a client takes some of its answer
LINGER = 2.0  # seconds for what a client still sends while it has our last answer
LINGER_BYTES = 4 * 1024 * 1024
FAIR_SHARE = 64 * 1024  # bytes that are sent before others have their turn
_PIECE = 8192
_READ, _WRITE = 1, 2  # of libev
_RESET = struct.pack("ii", 1, 0)


class ClientGoneError(Exception):
    """The client closed the connection, or was let go."""


class Stream:
    """Receives and sends for one connection.

    Its deadlines hold whether bytes come or not. It always waits for the event loop before it reads: that costs no more
    than a `recv` that finds nothing, and a client that always has bytes for us stops nobody.
    """

    def __init__(self, client: socket.socket, connections: Connections) -> None:
        client.setblocking(False)
        self._client = client
        self._connections = connections
        self._hub = get_hub()
        self._readable = self._hub.loop.io(client.fileno(), _READ)
        self._sends = self._late = False
        self._in_a_row = 0
        self.due = 0.0
        connections.enter(self)

    def close(self) -> None:
        """Stop waiting. The socket itself belongs to whoever accepted it."""
        self._readable.close()
        self._connections.leave(self)

    def receive_next(self) -> bytes:
        """The first bytes of a next request; none where there is no next one."""
        self.due = time.monotonic() + IDLE
        self._connections.idle(self)
        received = self._receive()
        self.due = time.monotonic() + PATIENCE
        self._connections.busy(self)
        return received

    def receive_more(self) -> bytes:
        """More bytes of a head or a body; none where the client has ended, or is late by now."""
        if self.due <= time.monotonic():
            return b""
        self._connections.wait(self)
        return self._receive()

    def begin(self, seconds: float = PATIENCE) -> None:
        """So many seconds from now on are there for all that `receive_more` waits for."""
        self.due = time.monotonic() + seconds
        self._connections.busy(self)

    @property
    def given_up(self) -> bool:
        """Whether this client was let go: nothing more is read from it."""
        return self._late

    def works(self) -> None:
        """What was waited for is here: the client is not who is late from now on."""
        self._connections.busy(self)

    def send(self, content: bytes) -> None:
        """Send all of it. Raises ClientGoneError, also where nothing of it is taken for a while."""
        # gevent's `sendall` asks for the size of the socket's buffer first: a system call for each answer.
        sent = self._send(content)
        if sent < len(content):
            self._send_slowly(memoryview(content)[sent:])
        self._in_a_row += sent
        if self._in_a_row > FAIR_SHARE:
            self.let_others_run()

    def let_others_run(self) -> None:
        """Wait for one turn of the event loop.

        `gevent.sleep(0)` does not: four clients with requests in store would have 50 answered before the loop looks at
        its sockets again.
        """
        self._in_a_row = 0
        with self._hub.loop.timer(0) as turn:
            self._hub.wait(turn)

    def linger(self) -> None:
        """Tell the client that this was all, and take what it still sends, lest a reset destroys our answer."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
        self.begin(LINGER)
        left = LINGER_BYTES
        while left > 0 and (received := self.receive_more()):
            left -= len(received)

    def give_up(self) -> None:
        """Wait no longer: what is being received ends here, and what is being sent is thrown away."""
        self._late = True
        with suppress(OSError):
            if self._sends:  # or the kernel would keep the rest, up to megabytes, and try for minutes
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._client.shutdown(socket.SHUT_RDWR if self._sends else socket.SHUT_RD)

    def _receive(self) -> bytes:
        while True:
            self._hub.wait(self._readable)
            try:
                return self._client.recv(_PIECE)
            except BlockingIOError:
                continue
            except OSError as e:
                raise ClientGoneError from e

    def _send(self, content: bytes | memoryview) -> int:
        try:
            return self._client.send(content)
        except BlockingIOError:
            return 0
        except OSError as e:
            raise ClientGoneError from e

    def _send_slowly(self, left: memoryview) -> None:
        writable = self._hub.loop.io(self._client.fileno(), _WRITE)
        self._sends = True
        try:
            while left:
                self._await_taker(writable)
                left = left[self._send(left) :]
        finally:
            writable.close()
            self._sends = False
            self._connections.busy(self)

    def _await_taker(self, writable: object) -> None:
        self.due = time.monotonic() + PROGRESS
        self._connections.wait(self)
        self._hub.wait(writable)
        if self._late:
            raise ClientGoneError
