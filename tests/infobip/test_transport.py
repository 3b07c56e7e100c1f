"""Tests one call to Infobip: TLS, kept connections, the deadline, and requests that must not be sent."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trustme

from otp.errors import ProviderTimeout, ServiceUnavailable
from otp.http_client.authorities import Authorities
from otp.infobip.transport import PAUSE, Transport
from sandbox.free_port import free_port
from tests.faults import upstream_acts
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.running import ROOT
from tests.support.upstream import RIGHT, SENT, Upstream, answer


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


class TlsServer:
    """A server that records each request, counts the connections, and closes one after `most` responses."""

    most = 1000

    def __init__(self, certificate: trustme.LeafCert) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.received: list[bytes] = []
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self.connections += 1
                    self._answer(secure)
            except ssl.SSLError:
                continue
            except OSError:
                return

    def _answer(self, secure: ssl.SSLSocket) -> None:
        for _ in range(self.most):
            received = secure.recv(65536)  # head and body arrive in one piece
            if not received:
                return
            self.received.append(received)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[TlsServer]:
    server = TlsServer(authority.issue_cert("localhost"))
    yield server
    server.close()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> Authorities:
    """The trusted authorities: only that of the tests."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Authorities(str(tmp_path / "ca.pem"))


def https(host: str, port: int, authorities: Authorities | None = None) -> Transport:
    return Transport(f"https://{host}:{port}", {}, timeout=5, pool_size=1, authorities=authorities)


def post(host: str, port: int, authorities: Authorities | None = None) -> int:
    return https(host, port, authorities).post("/x", {"a": "b"}).status


def test_a_valid_certificate_is_accepted(trusted: Authorities, server: TlsServer) -> None:
    assert post("localhost", server.port, trusted) == 200
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert json.loads(body) == {"a": "b"}


def test_a_kept_connection_saves_the_handshake(trusted: Authorities, server: TlsServer) -> None:
    """Session tickets, which the server sends in addition to its responses, do not make the connection look closed."""
    transport = https("localhost", server.port, trusted)
    assert [transport.post("/x", {}).status for _ in range(3)] == [200] * 3
    assert server.connections == 1


def test_a_kept_tls_connection_that_was_closed_is_replaced(trusted: Authorities, server: TlsServer) -> None:
    server.most = 1
    transport = https("localhost", server.port, trusted)
    for number in range(1, 4):
        assert transport.post("/x", {}).status == 200
        eventually(lambda: not _is_established(server.port))
        assert server.connections == number


def _is_established(port: int) -> bool:
    connections = psutil.Process().net_connections()
    return any(each.status == "ESTABLISHED" and each.laddr.port == port for each in connections)


def test_a_certificate_of_an_unknown_authority_is_refused(server: TlsServer) -> None:
    with pytest.raises(ServiceUnavailable):
        post("localhost", server.port)
    assert server.received == []


def test_a_certificate_for_another_host_is_refused(trusted: Authorities, server: TlsServer) -> None:
    with pytest.raises(ServiceUnavailable):
        post("127.0.0.1", server.port, trusted)
    assert server.received == []


def test_garbage_in_place_of_tls_is_service_unavailable() -> None:
    """The request was not sent, so the caller may retry at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-hello\r\n" * 10)

        threading.Thread(target=babble, daemon=True).start()
        with pytest.raises(ServiceUnavailable):
            post("localhost", listener.getsockname()[1])


def test_a_request_that_never_left_is_repeated_once() -> None:
    """A server begins to listen in the pause between the two attempts."""
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

        transport = Transport(f"http://127.0.0.1:{port}", {}, timeout=5, pool_size=1, sleep=pause)
        with pytest.raises(ServiceUnavailable):
            transport.post("/2fa/2/pin", {}, attempts=1)
        assert pauses == []
        assert transport.post("/2fa/2/pin/x/verify", {"pin": "1"}, attempts=2).status == 200
        assert len(upstream.requests) == 1
        assert len(pauses) == 1
        assert PAUSE[0] <= pauses[0] <= PAUSE[1]


def test_a_closed_port_is_service_unavailable() -> None:
    with pytest.raises(ServiceUnavailable):
        post("localhost", free_port())


@pytest.mark.parametrize("act", [up.silence, up.drip, upstream_acts.drip_body, upstream_acts.endless_trailers])
def test_the_deadline_holds_without_gevent(act: up.Act) -> None:
    """Commands run without gevent, so nothing interrupts a call that waits for the network."""
    with Upstream() as upstream:
        upstream.script.append(act)
        started = time.monotonic()
        with pytest.raises(ProviderTimeout):
            Transport(upstream.url, {}, timeout=0.5, pool_size=1).post("/2fa/2/pin", {})
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("path", ["/x HTTP/1.1\r\nX: y", "/x y", "/x\ny", "/x\x00", "/\xfc", "@elsewhere/x", ""])
def test_an_invalid_path_is_not_sent(path: str) -> None:
    with Upstream() as upstream:
        transport = Transport(upstream.url, {}, timeout=5, pool_size=1)
        with pytest.raises(ServiceUnavailable):
            transport.post(path, {})
        assert transport.post("/2fa/2/pin", {}).status == 200
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "\u2028", "a\x00"])
def test_an_invalid_header_value_is_not_sent(value: str) -> None:
    with Upstream() as upstream:
        transport = Transport(upstream.url, {"Authorization": value}, timeout=5, pool_size=1)
        with pytest.raises(ServiceUnavailable):
            transport.post("/2fa/2/pin", {})
        assert upstream.requests == []


KILLED = """
from gevent import monkey
monkey.patch_all()
import sys, gevent
from otp.http_client.authorities import Authorities
from otp.infobip.transport import Transport

transport = Transport(sys.argv[1], {}, timeout=5, pool_size=5)
transport.post("/2fa/2/pin", {})  # now a connection is kept
asking = gevent.spawn(transport.post, "/2fa/2/pin/x/verify", {})
gevent.sleep(0)
sys.stdin.readline()  # the question was read
asking.kill()
print(transport.post("/2fa/2/pin", {}).body.decode())
"""


def test_the_response_to_a_killed_call_reaches_no_other_call() -> None:
    """The response arrives only after the next request was sent."""
    with Upstream() as upstream:
        upstream.script.extend([answer(SENT), upstream_acts.late(answer(RIGHT), 2), answer({"pinId": "mine"})])
        command = [sys.executable, "-c", KILLED, upstream.url]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            eventually(lambda: len(upstream.requests) == 2)
            output, _ = process.communicate(b"\n", timeout=20)
    assert json.loads(output) == {"pinId": "mine"}
