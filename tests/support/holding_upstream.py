"""An Infobip that can hold thousands of sends: one thread serves all connections."""

import selectors
import socket
import threading
from collections import deque
from typing import Self

from tests.support.upstream import RIGHT, SENT, error_bytes, response_bytes


class HoldingUpstream:
    """Accepts each PIN at once. Responds to sends at once, too, unless `holds` is set: then `release` responds."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.holds = False
        self.sends = 0
        self._held: deque[socket.socket] = deque()
        self._received: dict[socket.socket, bytes] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def release(self, amount: int) -> None:
        """Respond to this number of held sends, oldest first."""
        for _ in range(amount):
            self._held.popleft().sendall(response_bytes(SENT))

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._is_over.is_set():
                for key, _ in selector.select(timeout=0.1):
                    self._take(selector, key.fileobj)  # type: ignore[arg-type]
        for connection in self._received:
            connection.close()

    def _take(self, selector: selectors.BaseSelector, ready: socket.socket) -> None:
        if ready is self._listener:
            connection, _ = ready.accept()
            self._received[connection] = b""
            selector.register(connection, selectors.EVENT_READ)
        elif came := _received(ready):
            self._received[ready] += came
            self._answer(ready)
        else:
            selector.unregister(ready)
            del self._received[ready]
            ready.close()

    def _answer(self, connection: socket.socket) -> None:
        head, found, body = self._received[connection].partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            return
        self._received[connection] = b""
        if not length:
            connection.sendall(error_bytes(403, "FORBIDDEN"))
        elif b"/verify " in head:
            connection.sendall(response_bytes(RIGHT))
        else:
            self._send(connection)

    def _send(self, connection: socket.socket) -> None:
        if self.holds:
            self._held.append(connection)
        else:
            connection.sendall(response_bytes(SENT))
        self.sends += 1


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""
