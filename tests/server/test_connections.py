"""The server's connections: no client stops a worker, or has more than its share of it."""

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
SOCKETS = 4  # of each kind

# What never ends: a beginning, and what is sent again and again.
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "requests": (b"", GET),
    "unknown paths": (b"", b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n"),
    "refused sends": (b"", HEAD + b"Content-Length: 2\r\n\r\n{}"),
    "sends of no JSON, in chunks": (b"", CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"),
    "requests of HTTP/1.0": (b"", b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    "expectations": (b"", HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}"),
    "chunks that nobody reads": (
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\na\r\n" * 99,
    ),
    "chunks": (CHUNKED, b"1\r\na\r\n" * 99),
    "chunk extensions": (CHUNKED + b"1", b";a=b" * 99),
    "trailers": (CHUNKED + b"0\r\n", b"A: b\r\n" * 99),
    "bytes nobody reads": (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n", b"a" * 999),
    "a header": (b"GET / HTTP/1.1\r\nX: ", b"a" * 99),
    "headers": (b"GET / HTTP/1.1\r\n", b"X: a\r\n" * 99),
    "a path": (b"GET /", b"a" * 99),
    "empty lines": (b"", b"\r\n" * 99),
    "no HTTP": (b"", b"\x16\x03\x01\x02" * 99),
}


@pytest.fixture
def one_worker(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    return start(sandbox.url, WEB_CONCURRENCY="1", LOG_LEVEL="WARNING")


def connected(service: Service, timeout: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=timeout)


def received(connection: socket.socket) -> bytes:
    """All until the server closes."""
    pieces = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def said(service: Service, request: bytes) -> bytes:
    with connected(service) as connection:
        connection.sendall(request)
        return received(connection)


def pour(service: Service, beginning: bytes, again: bytes, over: threading.Event) -> None:
    """Send without end, and take whatever comes; begin again where the server closes."""
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
def poured(service: Service, kind: str) -> Iterator[None]:
    """`SOCKETS` clients that send what never ends."""
    over = threading.Event()
    with ThreadPoolExecutor(SOCKETS) as pool:
        for _ in range(SOCKETS):
            pool.submit(pour, service, *ENDLESS[kind], over)
        try:
            yield
        finally:
            over.set()


@pytest.mark.parametrize("kind", ENDLESS)
def test_who_sends_without_end_stops_nobody(one_worker: Service, kind: str) -> None:
    workers = one_worker.workers()
    with poured(one_worker, kind):
        for _ in range(5):
            began = time.monotonic()
            assert one_worker.get("/healthz").status_code == 200
            assert time.monotonic() - began < 1
            time.sleep(0.1)
    assert one_worker.workers() == workers
    assert not one_worker.lines(event="bug")


def test_the_requests_of_one_packet_are_all_answered(one_worker: Service) -> None:
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    body = HEAD + b"Content-Length: 2\r\n\r\n{}"
    answers = said(one_worker, GET + body + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n" + GET + last)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"HTTP/1.1 400 BAD REQUEST") == 2


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n",
    ],
)
def test_a_body_that_is_not_read_ends_the_connection(one_worker: Service, request_: bytes) -> None:
    with connected(one_worker, timeout=3) as connection:
        connection.sendall(request_)
        answer = received(connection)  # although we keep it open
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_small_body_that_is_not_read_does_not(one_worker: Service) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    with connected(one_worker) as connection:
        for _ in range(2):
            connection.sendall(request)
            connection.sendall(b"GET /")  # no beginning of a next request
            assert b"\r\nConnection: keep-alive\r\n" in connection.recv(65536)


def drip(service: Service, beginning: bytes) -> float:
    """Send byte after byte; the seconds until the server closes."""
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
def test_a_drip_of_bytes_has_a_deadline(one_worker: Service) -> None:
    """Each byte is in time, the whole is not."""
    beginnings = b"", b"GET / HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 50\r\n\r\n"
    with ThreadPoolExecutor(3) as clients:
        for beginning, took in zip(beginnings, clients.map(partial(drip, one_worker), beginnings), strict=True):
            assert PATIENCE - 0.5 < took < PATIENCE + 3, beginning


@pytest.mark.long
def test_a_body_that_never_comes_is_refused(one_worker: Service) -> None:
    answer = said(one_worker, HEAD + b"Content-Length: 50\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 400 BAD REQUEST")
    assert b"\r\nConnection: close\r\n" in answer
    assert b'"code":"invalid_request"' in answer


def test_the_body_is_asked_for_where_the_client_waits_for_that(one_worker: Service) -> None:
    with connected(one_worker) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 BAD REQUEST")


def test_a_client_that_is_refused_before_is_not_asked_for_it(one_worker: Service) -> None:
    head = b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with connected(one_worker, timeout=3) as connection:
        connection.sendall(head)
        assert received(connection).startswith(b"HTTP/1.1 404 NOT FOUND")


@pytest.mark.long
def test_who_reads_nothing_is_let_go(one_worker: Service) -> None:
    """200 clients ask for the largest file several times, and take none of it."""
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
            assert time.monotonic() - began < PROGRESS + 15  # the last progress, too, takes its time
            time.sleep(0.2)
        assert time.monotonic() - began > PROGRESS - 5
    assert not one_worker.lines(event="bug")


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not reset it: by the state that the kernel knows, for nothing is read."""
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
def test_what_proxies_say_of_the_scheme_is_no_reason_to_refuse(one_worker: Service, lines: bytes) -> None:
    answer = said(one_worker, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + lines + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("name", [b"Script_Name", b"Path_Info", b"SCRIPT_NAME", b"X_Forwarded_For"])
@pytest.mark.parametrize("protocol", [b"1.0", b"1.1"])  # which are read by two parsers
def test_names_that_could_be_read_as_others_are_dropped(one_worker: Service, name: bytes, protocol: bytes) -> None:
    head = b"GET /healthz HTTP/" + protocol + b"\r\nHost: x\r\nConnection: close\r\n"
    assert said(one_worker, head + name + b": /healthz\r\n\r\n").split(b" ")[1] == b"200"


@pytest.mark.parametrize(("size", "status"), [(6000, b"200"), (17000, b"400")])
def test_a_head_may_have_16_kib(one_worker: Service, size: int, status: bytes) -> None:
    fields = b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(size // 1000))
    answer = said(one_worker, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + b"\r\n")
    assert answer.split(b" ")[1] == status


def test_the_answer_to_head_has_no_body(one_worker: Service) -> None:
    answer = said(one_worker, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"\r\nContent-Length: 19\r\n" in answer


@pytest.mark.parametrize(
    ("protocol", "wish", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: TE, Close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_a_connection_stays_as_its_client_wishes(
    one_worker: Service, protocol: bytes, wish: bytes, stays: bool
) -> None:
    with connected(one_worker, timeout=2) as connection:
        connection.sendall(b"GET /healthz HTTP/" + protocol + b"\r\n" + wish + b"\r\n")
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
def test_an_idle_connection_outlives_that_of_a_load_balancer(one_worker: Service) -> None:
    assert IDLE > 60
    with connected(one_worker) as connection:
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        time.sleep(PATIENCE + 2)  # it is the time that is tested: more than a head may take
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_idle_clients_keep_no_new_one_out(
    start: Callable[..., Service], sandbox: Sandbox, database: redis.Redis
) -> None:
    """The oldest idle connections give way."""
    few = start(sandbox.url, WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS="--worker-connections 200")
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(few)) for _ in range(400)]
        began = time.monotonic()
        assert few.get("/healthz").status_code == 200
        assert time.monotonic() - began < 1
        assert connection_ended(idle[0])
        idle[-1].sendall(GET)
        assert idle[-1].recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_stop_waits_for_no_idle_client(
    database: redis.Redis, sandbox: Sandbox, tmp_path: Path, redis_url: str
) -> None:
    with Service.started(tmp_path, {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}) as service:
        with connected(service) as connection:
            connection.sendall(GET)
            assert b"\r\nConnection: keep-alive\r\n" in connection.recv(65536)
            service.process.terminate()
            assert received(connection) == b""
        assert service.process.wait(15) == 0  # sooner than an idle connection ends


class Client:
    """A connection that only says whether it was given up."""

    def __init__(self, due: float = 0.0) -> None:
        self.due = due
        self.gave_up = False

    def give_up(self) -> None:
        self.gave_up = True


def test_who_works_never_gives_way() -> None:
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


def test_only_who_is_late_is_given_up() -> None:
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


def test_what_comes_behind_the_last_answer_destroys_it_not(one_worker: Service) -> None:
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
    """Its body came in pieces; the client is not late."""
    service = start(upstream.url, WEB_CONCURRENCY="1", LOG_LEVEL="WARNING")
    held = up.Held(up.answer(up.SENT))
    upstream.script.append(held)
    body = b'{"phoneNumber": "+4915112345679"}'
    with connected(service, 30) as connection:
        connection.sendall(CHUNKED)
        connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        held.came.wait(30)
        time.sleep(PATIENCE + 1.5)  # that is what it is about
        held.release()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
