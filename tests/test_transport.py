"""TLS: a certificate must be valid for the host, or nothing is sent."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
import trustme

from errors import ServiceUnavailable
from infobip.transport import PAUSE, Transport
from sandbox.ports import free_port
from tests.upstream import Upstream


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


class TlsServer:
    """Answers each request with what it got; says whether any request came through."""

    def __init__(self, certificate: trustme.LeafCert) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.received: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self.received.append(secure.recv(65536))  # head and body come in one piece
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except ssl.SSLError:
                continue
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[TlsServer]:
    server = TlsServer(authority.issue_cert("localhost"))
    yield server
    server.close()


@pytest.fixture
def trusting(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put the test's authority in the place of the world's."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "ca.pem"))


def post(host: str, port: int) -> int:
    return Transport(f"https://{host}:{port}", {}, timeout=5, pool_size=1).post("/x", {"a": "b"}).status


@pytest.mark.usefixtures("trusting")
def test_a_valid_certificate(server: TlsServer) -> None:
    assert post("localhost", server.port) == 200
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert json.loads(body) == {"a": "b"}


def test_an_unknown_authority(server: TlsServer) -> None:
    with pytest.raises(ServiceUnavailable):
        post("localhost", server.port)
    assert server.received == []


@pytest.mark.usefixtures("trusting")
def test_a_certificate_for_another_host(server: TlsServer) -> None:
    with pytest.raises(ServiceUnavailable):
        post("127.0.0.1", server.port)
    assert server.received == []


@pytest.mark.usefixtures("trusting")
def test_garbage_in_place_of_tls() -> None:
    """The request never left: the caller may ask again at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-hello\r\n" * 10)

        threading.Thread(target=babble, daemon=True).start()
        with pytest.raises(ServiceUnavailable):
            post("localhost", listener.getsockname()[1])


def test_a_request_that_never_left_is_repeated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody begins to listen in the pause between the two tries."""
    with Upstream() as upstream:
        port = free_port()
        pauses: list[float] = []

        def answer_one(listener: socket.socket) -> None:
            with listener:
                connection, _ = listener.accept()
            upstream._serve(connection)

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            late = socket.create_server(("127.0.0.1", port))
            threading.Thread(target=answer_one, args=(late,), daemon=True).start()

        monkeypatch.setattr("infobip.transport.time.sleep", pause)
        transport = Transport(f"http://127.0.0.1:{port}", {}, timeout=5, pool_size=1)
        with pytest.raises(ServiceUnavailable):
            transport.post("/2fa/2/pin", {}, tries=1)
        assert pauses == []
        assert transport.post("/2fa/2/pin/x/verify", {"pin": "1"}, tries=2).status == 200
        assert len(upstream.requests) == 1
        assert len(pauses) == 1
        assert PAUSE[0] <= pauses[0] <= PAUSE[1]


def test_nobody_listens() -> None:
    with pytest.raises(ServiceUnavailable):
        post("localhost", free_port())
