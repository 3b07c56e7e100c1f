"""An Infobip with scripted responses, down to the bytes."""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Self

from tests.support.accepting import accepted

PIN_ID = "0123456789ABCDEF0123456789ABCDEF"
SENT = {"pinId": PIN_ID, "to": "4915110000000", "ncStatus": "NC_DESTINATION_REACHABLE", "smsStatus": "MESSAGE_SENT"}
RIGHT = {"pinId": PIN_ID, "msisdn": "4915110000000", "verified": True, "attemptsRemaining": 0}
WRONG = {**RIGHT, "verified": False, "attemptsRemaining": 4, "pinError": "WRONG_PIN"}

Act = Callable[[socket.socket], None]
Request = tuple[str, dict[str, str], dict[str, Any]]  # path, headers, body


def response_bytes(body: Any, status: int = 200, headers: str = "") -> bytes:
    """Return a response with `body`: bytes unchanged, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


def answer(body: Any, status: int = 200, headers: str = "") -> Act:
    """Return an act that responds with `body`."""
    content = response_bytes(body, status, headers)
    return lambda connection: connection.sendall(content)


def error(status: int, message_id: str, headers: str = "") -> Act:
    """Return an act that responds with an error in Infobip's usual form."""
    content = error_bytes(status, message_id, headers)
    return lambda connection: connection.sendall(content)


def error_bytes(status: int, message_id: str, headers: str = "") -> bytes:
    """Return an error response in Infobip's usual form."""
    return response_bytes(
        {"requestError": {"serviceException": {"messageId": message_id, "text": "…"}}}, status, headers
    )


def raw(content: bytes) -> Act:
    """Return an act that sends only these bytes, and closes the connection."""

    def act(connection: socket.socket) -> None:
        connection.sendall(content)
        connection.close()

    return act


def reset(connection: socket.socket) -> None:
    """Receive the request, then reset the connection (RST)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang_up(connection: socket.socket) -> None:
    """Receive the request, then close the connection in order (FIN), without a response."""
    connection.close()


def silence(connection: socket.socket) -> None:
    """Receive the request, and send nothing for three seconds."""
    time.sleep(3)


def drip(connection: socket.socket) -> None:
    """Send the head of a response byte by byte, without end."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def endless(connection: socket.socket) -> None:
    """Send a chunked response without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1000\r\n" + b" " * 0x1000 + b"\r\n")


class Held:
    """Receives the request, and does `act` after `release`."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self._released = threading.Event()
        self.came, self.done = threading.Event(), threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self.came.set()
        self._released.wait(60)
        try:
            self._act(connection)
        finally:
            self.done.set()

    def release(self) -> None:
        self._released.set()


class Upstream:
    """Plays its script, one act for each request; without an act, every PIN is sent and every PIN is right.

    `look` responds to a GET of the account: by default, with the error that the API key may only send. The next of the
    `greetings`, if there is one, acts on a new connection before anything is read from it.
    """

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.open: set[socket.socket] = set()
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def reset(self) -> None:
        self._turn = threading.Lock()  # acts are taken in the order of the requests
        self.script: deque[Act] = deque()
        self.greetings: deque[Act] = deque()
        self.look = error(403, "FORBIDDEN")
        self.looks: list[str] = []
        self.requests: list[Request] = []

    def cut(self, hard: bool = False) -> None:
        """End every open connection: in order (FIN), or hard (RST)."""
        for connection in self.open.copy():
            if hard:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)  # wakes the reader, which closes it

    def _accept(self) -> None:
        for connection in accepted(self._listener):
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # send at once
        self.open.add(connection)
        try:
            with connection:
                if self.greetings:
                    self.greetings.popleft()(connection)
                for path, headers, content in _requests(connection):
                    self._respond(connection, path, headers, content)
        except OSError:
            pass
        finally:
            self.open.discard(connection)

    def _respond(self, connection: socket.socket, path: str, headers: dict[str, str], content: bytes) -> None:
        if not content:
            self.looks.append(path)
            self.look(connection)
            return
        payload = json.loads(content)
        with self._turn:
            self.requests.append((path, headers, payload))
            act = self.script.popleft() if self.script else None
        (act or self._usual(path, payload))(connection)

    def _usual(self, path: str, payload: dict[str, Any]) -> Act:
        return answer(RIGHT if path.endswith("/verify") else SENT)


def _requests(connection: socket.socket) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Yield path, headers and body of each request, until the connection ends."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            received += _more(connection)
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(received) < length:
            received += _more(connection)
        content, received = received[:length], received[length:]
        yield first.split()[1], headers, content


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("the client hung up")
    return received
