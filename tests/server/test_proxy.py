"""Three replicas behind nginx, with the configuration that docker-compose.yml gives it."""

import json
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis
import requests

from otp import errors
from sandbox.free_port import free_port
from tests.support.programs import program
from tests.support.proxied import PRIVATE, Proxied
from tests.support.receiver import until
from tests.support.running import ROOT, Sandbox, Service, refusal

REPLICAS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
MISSING, DYING = "127.0.0.5", ("127.0.0.6", "127.0.0.7")
ALL_MISSING = (MISSING, "127.0.0.8", "127.0.0.9", "127.0.0.10")
SECRET = "reports-secret-of-the-proxy"
REPORTS = "/infobip/delivery-reports"
MOST_CONNECTIONS = 200  # that one address may have open at a time
LIMITS = ("worker_rlimit_nofile", "worker_connections")
LIMIT = 24  # sends; enough that, almost certainly, each replica gets at least one


@pytest.fixture(scope="module")
def nginx() -> str:
    return program("nginx", "nginx-light")


@pytest.fixture(scope="module")
def _proxied(
    nginx: str, _sandbox: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    common = {"INFOBIP_BASE_URL": _sandbox.url, "REDIS_URL": redis_url, "TRUSTED_PROXIES": "1", "WEB_CONCURRENCY": "1"}
    common |= {"PORT": str(free_port()), "SEND_OTP_LIMIT": f"{LIMIT} per 15 minutes"}
    common |= {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": SECRET}
    with ExitStack() as stack:
        replicas = []
        for number, host in enumerate(REPLICAS):  # expiresIn identifies the replica that responded
            settings = {**common, "PIN_TIME_TO_LIVE": f"{600 + number}s"}
            started = Service.started(tmp_path_factory.mktemp("replica"), settings, host)
            replicas.append(stack.enter_context(started))
        yield stack.enter_context(Proxied.started(nginx, replicas, tmp_path_factory.mktemp("nginx")))
        for replica in replicas:  # so that all stop at the same time
            replica.process.terminate()


@pytest.fixture
def proxied(_proxied: Proxied, sandbox: Sandbox, database: redis.Redis) -> Proxied:
    """nginx in front of all three replicas, before the first request."""
    _proxied.set_replicas(*REPLICAS)
    return _proxied


def phones(first: int, many: int) -> list[str]:
    return [f"+49158{n}" for n in range(first, first + many)]


def test_each_client_is_counted_by_its_own_address_on_all_replicas_together(proxied: Proxied, sandbox: Sandbox) -> None:
    given = [proxied.send("127.0.0.21", phone) for phone in phones(10000000, LIMIT + 1)]
    assert [r.status_code for r in given] == [200] * LIMIT + [429]
    assert [int(r.headers["X-RateLimit-Remaining"]) for r in given] == [*reversed(range(LIMIT)), 0]
    assert {r.json().get("expiresIn") for r in given[:-1]} == {600, 601, 602}, "all three take part"
    other = proxied.send("127.0.0.22", "+4915820000000")
    assert (other.status_code, other.headers["X-RateLimit-Remaining"]) == (200, str(LIMIT - 1))
    assert len(sandbox.messages) == LIMIT + 1


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_forged_header_does_not_change_the_counted_address(proxied: Proxied, header: str) -> None:
    forged = [f"198.51.100.{n}" for n in range(4)]
    given = [
        proxied.send("127.0.0.21", phone, **{header: address})
        for phone, address in zip(phones(30000000, 4), forged, strict=True)
    ]
    assert [int(r.headers["X-RateLimit-Remaining"]) for r in given] == [LIMIT - 1 - n for n in range(4)]
    victim = proxied.send("127.0.0.23", "+4915840000000", **{header: "127.0.0.21"})
    assert victim.headers["X-RateLimit-Remaining"] == str(LIMIT - 1), "nor does it harm another"


def test_the_request_id_is_the_same_from_end_to_end(proxied: Proxied) -> None:
    mine = proxied.send("127.0.0.21", "+4915850000000", **{"X-Request-ID": "mine-12345"})
    assert mine.headers["X-Request-ID"] == "mine-12345"
    assert mine.raw.headers.getlist("X-Request-ID") == ["mine-12345"]


def test_requests_for_a_missing_replica_go_to_another(proxied: Proxied, sandbox: Sandbox) -> None:
    """Its address refuses connections, so no request can have reached a replica there."""
    proxied.set_replicas(MISSING, REPLICAS[0])
    given = [proxied.send("127.0.0.21", phone) for phone in phones(60000000, 12)]
    assert [r.status_code for r in given] == [200] * 12
    assert len(sandbox.messages) == 12


def test_most_replicas_may_be_missing_at_once(proxied: Proxied) -> None:
    """This happens when the service is scaled from five replicas to one, or from one to five."""
    proxied.set_replicas(*ALL_MISSING, REPLICAS[0])
    given = [proxied.send("127.0.0.21", phone) for phone in phones(65000000, 12)]
    assert [r.status_code for r in given] == [200] * 12


def test_without_a_replica_a_send_gets_503(proxied: Proxied) -> None:
    for addresses in ([MISSING], []):
        proxied.set_replicas(*addresses)
        answer = proxied.send("127.0.0.21", "+4915870000000")
        assert refusal(answer) == (503, errors.ServiceUnavailable.code)
        assert answer.json()["error"] == errors.ServiceUnavailable.sentence
        assert answer.headers["Retry-After"] == "5"


class Dying(socketserver.StreamRequestHandler):
    """A replica that reads a request and closes the connection without a response."""

    def handle(self) -> None:
        self.server.taken.append(self.rfile.readline().split()[0])  # type: ignore[attr-defined]


def test_a_post_that_reached_a_replica_goes_to_no_other(proxied: Proxied) -> None:
    """The replica may have sent an SMS before it died. A GET is tried at another replica."""
    with ExitStack() as stack:
        taken: list[bytes] = []
        for host in DYING:
            server = stack.enter_context(socketserver.ThreadingTCPServer((host, proxied.shared), Dying))
            server.taken = taken  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever).start()
            stack.callback(server.shutdown)
        proxied.set_replicas(*DYING)
        taken.clear()
        answer = proxied.send("127.0.0.21", "+4915880000000")
        assert taken == [b"POST"]
        assert refusal(answer) == (504, errors.ProviderTimeout.code)
        assert answer.json()["error"] == errors.ProviderTimeout.sentence
        assert "Retry-After" not in answer.headers
        requests.get(f"{proxied.url}/healthz", timeout=5)
        assert taken == [b"POST", b"GET", b"GET"]


@pytest.mark.parametrize(
    ("request_line", "status", "error"),
    [
        (b"NONSENSE\r\n\r\n", 400, errors.InvalidRequest),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 400, errors.InvalidRequest),
        (b"POST /send-otp HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 413, errors.RequestTooLarge),
    ],
)
def test_errors_of_nginx_have_the_format_of_the_service(
    proxied: Proxied, request_line: bytes, status: int, error: type[errors.OtpError]
) -> None:
    head, _, body = proxied.raw(request_line).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert b"\r\nX-Request-ID: " in head
    assert json.loads(body) == {"error": error.sentence, "code": error.code}


@contextmanager
def all_connections_taken(proxied: Proxied, address: str) -> Iterator[None]:
    """Keep as many requests of one address open as it may have: their bodies never arrive."""
    head = b"POST /verify-otp HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            to, source = ("127.0.0.1", proxied.port), (address, 0)
            taken = stack.enter_context(socket.create_connection(to, timeout=5, source_address=source))
            taken.sendall(head)
        yield


def test_one_address_cannot_take_all_connections(proxied: Proxied) -> None:
    with all_connections_taken(proxied, "127.0.0.24"):
        until(lambda: proxied.send("127.0.0.24", "+4915890000000").status_code == 503)
        refused = proxied.send("127.0.0.24", "+4915890000000")
        assert refusal(refused) == (503, errors.ServiceUnavailable.code), "nothing was sent"
        assert proxied.send("127.0.0.25", "+4915890000001").status_code == 200


def test_a_private_address_has_no_connection_limit(proxied: Proxied) -> None:
    """A private address belongs to another proxy, such as one for TLS, or to Docker's gateway."""
    with all_connections_taken(proxied, PRIVATE), all_connections_taken(proxied, "127.0.0.24"):
        until(lambda: proxied.send("127.0.0.24", "+4915890000002").status_code == 503)  # nginx has read all of them
        assert proxied.send(PRIVATE, "+4915890000003").status_code == 200


def test_nginx_may_open_the_files_that_its_connections_take() -> None:
    text = (ROOT / "deploy/nginx.conf").read_text()
    files, connections = (int(re.findall(rf"^ *{name} (\d+);", text, re.MULTILINE)[0]) for name in LIMITS)
    assert files > 2 * connections, "where the soft limit is 1,024, 1,100 half-sent requests closed it"


def test_a_method_that_nginx_refuses_gets_405(proxied: Proxied) -> None:
    assert refusal(requests.request("TRACE", proxied.url, timeout=5)) == (405, "method_not_allowed")


def test_the_secret_of_delivery_reports_is_in_no_log_line(proxied: Proxied) -> None:
    proxied.set_replicas(MISSING)
    answer = requests.post(f"{proxied.url}{REPORTS}/{SECRET}", json={"results": []}, timeout=10)
    assert refusal(answer) == (503, errors.ServiceUnavailable.code), "Infobip asks again"
    requests.get(f"{proxied.url}/seen-in-the-log", timeout=10)
    until(lambda: "seen-in-the-log" in proxied.log())
    assert SECRET not in proxied.log()


@pytest.mark.parametrize(("size", "status"), [(200, 200), (256, 413)])
def test_delivery_reports_may_have_a_larger_body(proxied: Proxied, size: int, status: int) -> None:
    """nginx has the service's own limit for them, which is above its limit for other requests."""
    body, headers = {"results": ["x" * size * 1024]}, {"Authorization": f"Bearer {SECRET}"}
    answer = requests.post(f"{proxied.url}{REPORTS}", json=body, headers=headers, timeout=10)
    assert answer.status_code == status
    assert status == 200 or refusal(answer) == (413, errors.RequestTooLarge.code)
