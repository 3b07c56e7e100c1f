"""The socket of a client. Its waits are bounded, and it lets other clients run before it reads again."""

import socket
import struct
import time
from contextlib import suppress

from gevent import get_hub

from otp.server.connections import Connections
from otp.web.request_body import PATIENCE

IDLE = 75  # seconds for the next request: longer than the 60 for which load balancers keep connections
PROGRESS = 12.0  # seconds within which a client must read more of its response
LINGER = 2.0  # seconds for what a client still sends after the last response
LINGER_BYTES = 4 * 1024 * 1024
FAIR_SHARE = 64 * 1024  # bytes that are sent before other clients have their turn
_PIECE = 8192
_READ, _WRITE = 1, 2  # of libev
_RESET = struct.pack("ii", 1, 0)


class ClientGoneError(Exception):
    """The client closed the connection, or the server gave up waiting."""


class Stream:
    """Receives and sends for one connection.

    Its deadlines hold whether bytes arrive or not. It always waits for the event loop before it reads: that costs no
    more than a `recv` without data, and a client that always sends cannot block others.
    """

    def __init__(self, client: socket.socket, connections: Connections) -> None:
        client.setblocking(False)
        self._client = client
        self._connections = connections
        self._hub = get_hub()
        self._readable = self._hub.loop.io(client.fileno(), _READ)
        self.given_up = False  # whether nothing more is read from this client
        self._is_sending = False
        self._sent_in_turn = 0
        self.due = 0.0
        connections.add(self)

    def close(self) -> None:
        """Stop waiting. The caller that accepted the socket closes it."""
        self._readable.close()
        self._connections.remove(self)

    def receive_next(self) -> bytes:
        """The first bytes of the next request; b"" if there is none."""
        self.due = time.monotonic() + IDLE
        self._connections.mark_idle(self)
        received = self._receive()
        self.due = time.monotonic() + PATIENCE
        self._connections.mark_busy(self)
        return received

    def receive_more(self) -> bytes:
        """More bytes of a head or a body; b"" if the client has closed the connection, or the deadline has passed."""
        if self.due <= time.monotonic():
            return b""
        self._connections.mark_waiting(self)
        return self._receive()

    def set_deadline(self, seconds: float = PATIENCE) -> None:
        """Allow `seconds` from now on for all calls of `receive_more`."""
        self.due = time.monotonic() + seconds
        self._connections.mark_busy(self)

    def stop_waiting(self) -> None:
        """Note that the awaited bytes have arrived, so that the client cannot be overdue."""
        self._connections.mark_busy(self)

    def send(self, content: bytes) -> None:
        """Send all of it. Raises ClientGoneError, also if the client reads nothing for PROGRESS seconds."""
        # gevent's `sendall` first reads the size of the socket's buffer: one more system call per response.
        sent = self._send(content)
        if sent < len(content):
            self._send_slowly(memoryview(content)[sent:])
        self._sent_in_turn += sent
        if self._sent_in_turn > FAIR_SHARE:
            self.let_others_run()

    def let_others_run(self) -> None:
        """Wait for one iteration of the event loop.

        `gevent.sleep(0)` does not: four clients with pipelined requests would get 50 responses before the loop checks
        its sockets again.
        """
        self._sent_in_turn = 0
        with self._hub.loop.timer(0) as turn:
            self._hub.wait(turn)

    def linger(self) -> None:
        """End the response, and read what the client still sends: a reset would otherwise destroy the response."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
        self.set_deadline(LINGER)
        rest = LINGER_BYTES
        while rest > 0 and (received := self.receive_more()):
            rest -= len(received)

    def give_up(self) -> None:
        """Stop waiting: receiving ends, and what is being sent is discarded."""
        self.given_up = True
        with suppress(OSError):
            if self._is_sending:  # otherwise the kernel would keep up to megabytes, and retry for minutes
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._client.shutdown(socket.SHUT_RDWR if self._is_sending else socket.SHUT_RD)

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

    def _send_slowly(self, rest: memoryview) -> None:
        writable = self._hub.loop.io(self._client.fileno(), _WRITE)
        self._is_sending = True
        try:
            while rest:
                self._wait_until_writable(writable)
                rest = rest[self._send(rest) :]
        finally:
            writable.close()
            self._is_sending = False
            self._connections.mark_busy(self)

    def _wait_until_writable(self, writable: object) -> None:
        self.due = time.monotonic() + PROGRESS
        self._connections.mark_waiting(self)
        self._hub.wait(writable)
        if self.given_up:
            raise ClientGoneError
