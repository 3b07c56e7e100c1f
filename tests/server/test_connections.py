"""The server's connections: no client blocks a worker or takes more than its share of it."""

import itertools
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import redis

from otp.server.connections import Connections
from otp.server.stream import IDLE, PROGRESS
from otp.web.request_body import PATIENCE
from tests.support import upstream as up
from tests.support.running import Sandbox, Service
from tests.support.upstream import Upstream

HEAD = b"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SOCKETS = 4  # clients that send at the same time

# Endless input of each kind: what is sent once at the beginning, and what is then sent again and again.
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "requests": (b"", GET),
    "requests for unknown paths": (b"", b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n"),
    "refused sends": (b"", HEAD + b"Content-Length: 2\r\n\r\n{}"),
    "refused sends in chunks": (b"", CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"),
    "requests of HTTP/1.0": (b"", b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    "expectations of 100-continue": (b"", HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}"),
    "chunks that are not read": (
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\na\r\n" * 99,
    ),
    "chunks": (CHUNKED, b"1\r\na\r\n" * 99),
    "chunk extensions": (CHUNKED + b"1", b";a=b" * 99),
    "trailers": (CHUNKED + b"0\r\n", b"A: b\r\n" * 99),
    "a body that is not read": (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n", b"a" * 999),
    "a header": (b"GET / HTTP/1.1\r\nX: ", b"a" * 99),
    "headers": (b"GET / HTTP/1.1\r\n", b"X: a\r\n" * 99),
    "a path": (b"GET /", b"a" * 99),
    "empty lines": (b"", b"\r\n" * 99),
    "bytes that are not HTTP": (b"", b"\x16\x03\x01\x02" * 99),
}


@pytest.fixture
def one_worker(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    return start(sandbox.url, WEB_CONCURRENCY="1", LOG_LEVEL="WARNING")


def connected(service: Service, timeout: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=timeout)


def received(connection: socket.socket) -> bytes:
    """Return all bytes that arrive until the server closes the connection."""
    pieces = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def exchange(service: Service, request: bytes) -> bytes:
    with connected(service) as connection:
        connection.sendall(request)
        return received(connection)


def pour(service: Service, beginning: bytes, again: bytes, over: threading.Event) -> None:
    """Send without end and read all responses. Reconnect whenever the server closes the connection."""
    while not over.is_set():
        with suppress(OSError), connected(service) as connection:
            connection.sendall(beginning)
            connection.setblocking(False)
            while not over.is_set():
                readable, writable, _ = select.select([connection], [connection], [], 0.1)
                if writable:
                    connection.send(again * 50)
                if readable and not connection.recv(65536):
                    break


@contextmanager
def endless_clients(service: Service, kind: str) -> Iterator[None]:
    """Run `SOCKETS` clients that send endless input."""
    over = threading.Event()
    with ThreadPoolExecutor(SOCKETS) as pool:
        for _ in range(SOCKETS):
            pool.submit(pour, service, *ENDLESS[kind], over)
        try:
            yield
        finally:
            over.set()


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_client_that_sends_without_end_delays_no_other(one_worker: Service, kind: str) -> None:
    workers = one_worker.workers()
    with endless_clients(one_worker, kind):
        for _ in range(5):
            began = time.monotonic()
            assert one_worker.get("/healthz").status_code == 200
            assert time.monotonic() - began < 1
            time.sleep(0.1)
    assert one_worker.workers() == workers
    assert not one_worker.lines(event="bug")


def test_each_request_of_one_packet_gets_a_response(one_worker: Service) -> None:
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    body = HEAD + b"Content-Length: 2\r\n\r\n{}"
    answers = exchange(one_worker, GET + body + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n" + GET + last)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"HTTP/1.1 400 BAD REQUEST") == 2


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n",
    ],
)
def test_a_large_body_that_is_not_read_closes_the_connection(one_worker: Service, request_: bytes) -> None:
    with connected(one_worker, timeout=3) as connection:
        connection.sendall(request_)
        answer = received(connection)  # although the client keeps the connection open
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_small_body_that_is_not_read_keeps_the_connection_open(one_worker: Service) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    with connected(one_worker) as connection:
        for _ in range(2):
            connection.sendall(request)
            connection.sendall(b"GET /")  # this is the body, not the beginning of a next request
            assert b"\r\nConnection: keep-alive\r\n" in connection.recv(65536)


def drip(service: Service, beginning: bytes) -> float:
    """Send single bytes and return the seconds until the server closes the connection."""
    began = time.monotonic()
    with connected(service, timeout=0.2) as connection, suppress(ConnectionError):
        connection.sendall(beginning)
        while time.monotonic() - began < 2 * PATIENCE + 5:
            connection.sendall(b"a")
            with suppress(TimeoutError):
                if not connection.recv(65536):
                    break
    return time.monotonic() - began


@pytest.mark.long
def test_a_request_sent_byte_by_byte_has_a_deadline(one_worker: Service) -> None:
    """Each byte arrives in time, but the whole head or body does not."""
    beginnings = b"", b"GET / HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 50\r\n\r\n"
    with ThreadPoolExecutor(3) as clients:
        for beginning, took in zip(beginnings, clients.map(partial(drip, one_worker), beginnings), strict=True):
            assert PATIENCE - 0.5 < took < PATIENCE + 3, beginning


@pytest.mark.long
def test_a_request_whose_body_never_arrives_is_refused(one_worker: Service) -> None:
    answer = exchange(one_worker, HEAD + b"Content-Length: 50\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 400 BAD REQUEST")
    assert b"\r\nConnection: close\r\n" in answer
    assert b'"code":"invalid_request"' in answer


def test_a_client_that_expects_100_continue_gets_it(one_worker: Service) -> None:
    with connected(one_worker) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 BAD REQUEST")


def test_a_refused_client_gets_no_100_continue(one_worker: Service) -> None:
    head = b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with connected(one_worker, timeout=3) as connection:
        connection.sendall(head)
        assert received(connection).startswith(b"HTTP/1.1 404 NOT FOUND")


@pytest.mark.long
def test_a_client_that_reads_nothing_is_disconnected(one_worker: Service) -> None:
    """Each of 200 clients requests the largest file five times and reads nothing of it."""
    request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 5
    with ExitStack() as stack:
        readers = [stack.enter_context(socket.socket()) for _ in range(200)]
        for reader in readers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", one_worker.port))
            reader.sendall(request)
        began = time.monotonic()
        while any(is_open(reader) for reader in readers):
            assert one_worker.get("/healthz").status_code == 200
            assert time.monotonic() - began < PROGRESS + 15  # the last progress comes some time after the start
            time.sleep(0.2)
        assert time.monotonic() - began > PROGRESS - 5
    assert not one_worker.lines(event="bug")


def is_open(connection: socket.socket) -> bool:
    """Return whether the server has not reset the connection. Nothing may be read, so the kernel's TCP state tells."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1  # ESTABLISHED


def test_a_slow_reader_gets_all_of_it(one_worker: Service) -> None:
    whole = one_worker.get("/docs/swagger-ui-bundle.js").content
    with connected(one_worker) as connection:
        connection.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(1)
        _, _, body = received(connection).partition(b"\r\n\r\n")
    assert body == whole


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Protocol: https\r\n",
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n",
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Protocol: ssl\r\n",
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
    ],
)
def test_contradictory_scheme_headers_are_accepted(one_worker: Service, lines: bytes) -> None:
    answer = exchange(one_worker, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + lines + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("name", [b"Script_Name", b"Path_Info", b"SCRIPT_NAME", b"X_Forwarded_For"])
@pytest.mark.parametrize("protocol", [b"1.0", b"1.1"])  # each version has its own parser
def test_ambiguous_header_names_are_dropped(one_worker: Service, name: bytes, protocol: bytes) -> None:
    head = b"GET /healthz HTTP/" + protocol + b"\r\nHost: x\r\nConnection: close\r\n"
    assert exchange(one_worker, head + name + b": /healthz\r\n\r\n").split(b" ")[1] == b"200"


@pytest.mark.parametrize(("size", "status"), [(6000, b"200"), (17000, b"400")])
def test_a_request_head_may_have_16_kib(one_worker: Service, size: int, status: bytes) -> None:
    fields = b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(size // 1000))
    answer = exchange(one_worker, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + b"\r\n")
    assert answer.split(b" ")[1] == status


def test_the_response_to_head_has_no_body(one_worker: Service) -> None:
    answer = exchange(one_worker, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"\r\nContent-Length: 19\r\n" in answer


@pytest.mark.parametrize(
    ("protocol", "header", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: TE, Close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_the_client_decides_whether_its_connection_stays_open(
    one_worker: Service, protocol: bytes, header: bytes, stays: bool
) -> None:
    with connected(one_worker, timeout=2) as connection:
        connection.sendall(b"GET /healthz HTTP/" + protocol + b"\r\n" + header + b"\r\n")
        answer = connection.recv(65536)
        assert (b"\r\nConnection: keep-alive\r\n" in answer) == stays
        assert (connection_ended(connection)) == (not stays)


def connection_ended(connection: socket.socket) -> bool:
    connection.settimeout(0.5)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


@pytest.mark.long
def test_an_idle_connection_outlives_the_idle_timeout_of_a_load_balancer(one_worker: Service) -> None:
    assert IDLE > 60
    with connected(one_worker) as connection:
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        time.sleep(PATIENCE + 2)  # the connection is idle for longer than a head may take
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_idle_clients_do_not_keep_new_ones_out(
    start: Callable[..., Service], sandbox: Sandbox, database: redis.Redis
) -> None:
    """The server closes the oldest idle connections to accept new ones."""
    few = start(sandbox.url, WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS="--worker-connections 200")
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(few)) for _ in range(400)]
        began = time.monotonic()
        assert few.get("/healthz").status_code == 200
        assert time.monotonic() - began < 1
        assert connection_ended(idle[0])
        idle[-1].sendall(GET)
        assert idle[-1].recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_stop_does_not_wait_for_idle_clients(
    database: redis.Redis, sandbox: Sandbox, tmp_path: Path, redis_url: str
) -> None:
    with Service.started(tmp_path, {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}) as service:
        with connected(service) as connection:
            connection.sendall(GET)
            assert b"\r\nConnection: keep-alive\r\n" in connection.recv(65536)
            service.process.terminate()
            assert received(connection) == b""
        assert service.process.wait(15) == 0  # sooner than an idle connection times out


class Client:
    """A connection that only records whether it was given up."""

    def __init__(self, due: float = 0.0) -> None:
        self.due = due
        self.gave_up = False

    def give_up(self) -> None:
        self.gave_up = True


def test_a_connection_in_use_is_never_given_up_for_another() -> None:
    connections = Connections(3)
    _working, waiting, idle, *more = clients = [Client() for _ in range(6)]
    for client in clients[:3]:
        connections.add(client)
    connections.mark_waiting(waiting)
    connections.mark_idle(idle)
    for client, gives_way in itertools.zip_longest(more, [idle, waiting]):
        connections.add(client)
        assert gives_way is None or gives_way.gave_up
    assert [client.gave_up for client in clients] == [False, True, True, False, False, False]


def test_only_overdue_connections_are_given_up() -> None:
    connections = Connections(9)
    clients = [Client(due) for due in (1.0, 2.0, 3.0)]
    for client in clients:
        connections.add(client)
    connections.mark_waiting(clients[0])
    connections.mark_idle(clients[2])
    connections.give_up_overdue(2.5)
    assert [client.gave_up for client in clients] == [True, False, False]
    connections.close_idle()
    assert [client.gave_up for client in clients] == [True, False, True]


def test_data_after_the_last_request_does_not_reset_the_connection(one_worker: Service) -> None:
    with connected(one_worker) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = connection.recv(65536)
        connection.sendall(GET)
        assert connection.recv(65536) == b"", "the end, and no reset"
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.long
def test_a_request_that_takes_long_keeps_its_connection(
    start: Callable[..., Service], database: redis.Redis, upstream: Upstream
) -> None:
    """Its body came in chunks and is complete, so the deadline for bodies no longer applies."""
    service = start(upstream.url, WEB_CONCURRENCY="1", LOG_LEVEL="WARNING")
    held = up.Held(up.answer(up.SENT))
    upstream.script.append(held)
    body = b'{"phoneNumber": "+4915112345679"}'
    with connected(service, 30) as connection:
        connection.sendall(CHUNKED)
        connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        held.came.wait(30)
        time.sleep(PATIENCE + 1.5)  # longer than a body may take
        held.release()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
