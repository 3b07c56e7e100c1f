"""A proxy that adds TLS to a server without it."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import trustme

from tests.support.accepting import accepted


class TlsProxy:
    """Passes bytes on to 127.0.0.1:`port`. `authority` is the file that a client must trust."""

    def __init__(self, port: int, directory: Path) -> None:
        authority = trustme.CA()
        self.authority = directory / "ca.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)
        self._server_port = port
        self.accepted: list[socket.socket] = []

    def __enter__(self) -> "TlsProxy":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        for client in accepted(self._listener):
            try:
                secured = self._context.wrap_socket(client, server_side=True)
            except OSError:  # the client does not trust this server, or was killed in the middle
                continue
            self._connect(secured)

    def _connect(self, client: socket.socket) -> None:
        self.accepted.append(client)
        server = socket.create_connection(("127.0.0.1", self._server_port))
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    def hang_up(self) -> None:
        """End every connection, as a server does with idle ones."""
        for connection in self.accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError), source, sink:
        while received := source.recv(65536):
            sink.sendall(received)
