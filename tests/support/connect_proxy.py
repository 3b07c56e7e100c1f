"""A proxy that connects (CONNECT) each client with its credentials to any host, or acts as scripted."""

import base64
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import Self

from tests.support.accepting import accepted
from tests.support.upstream import Act


class ConnectProxy:
    """The next connections get `acts` instead. `heads` are the requests, `passed` the bytes that clients sent later.

    Args:
        credentials: `user:password`; "" for none.
    """

    def __init__(self, credentials: str = "") -> None:
        self._expected = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else ""
        self.acts: deque[Act] = deque()
        self.heads: list[str] = []
        self.passed = b""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        for connection in accepted(self._listener):
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                received = client.recv(65536)
                if not received:
                    return
                head += received
            first, *fields = head.decode().split("\r\n")
            self.heads.append(head.decode())
            if self.acts:
                self.acts.popleft()(client)
            elif self._expected and f"Proxy-Authorization: {self._expected}" not in fields:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            else:
                self._tunnel(client, first.split()[1])

    def _tunnel(self, client: socket.socket, authority: str) -> None:
        host, _, port = authority.rpartition(":")
        try:
            server = socket.create_connection((host.strip("[]"), int(port)))
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        with server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 tests\r\n\r\n")
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            while received := client.recv(65536):
                self.passed += received
                server.sendall(received)
            server.shutdown(socket.SHUT_WR)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received)
        sink.shutdown(socket.SHUT_WR)
