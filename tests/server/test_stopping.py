"""Stops: every accepted connection gets its response, whichever process stops and whatever the client does."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

import psutil
import pytest
import redis

from sandbox.free_port import free_port
from tests.server.test_proxy import nginx as nginx  # noqa: PLC0414  a fixture
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.proxied import Proxied
from tests.support.running import ACCOUNT, ROOT, Sandbox, Service
from tests.support.upstream import Upstream

Connected = Callable[[Service], HTTPConnection]
DUE = 1.2  # seconds; longer than any timer of an idle worker
POST = ("POST", "/verify-otp", b'{"phoneNumber": "+4915112345678", "pin": "000000"}')
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}  # no coverage: these tests start many services and send requests quickly
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def settings(sandbox: Sandbox, redis_url: str, database: redis.Redis) -> dict[str, str]:
    return {
        "INFOBIP_BASE_URL": sandbox.url,
        "REDIS_URL": redis_url,
    }


def guess_pin(connection: HTTPConnection) -> int:
    """Verify a PIN that was never sent, and return the status."""
    connection.request(*POST, JSON)
    return read_response(connection).status


def read_response(connection: HTTPConnection) -> HTTPResponse:
    """Return the response after reading all of it: otherwise its socket would stay open."""
    answer = connection.getresponse()
    answer.read()
    return answer


@pytest.fixture
def connected() -> Iterator[Callable[[Service], HTTPConnection]]:
    with ExitStack() as stack:

        def connected(service: Service) -> HTTPConnection:
            connection = stack.enter_context(closing(HTTPConnection(*service.address, timeout=30)))
            connection.connect()
            return connection

        yield connected


def is_refused(service: Service) -> bool:
    try:
        socket.create_connection(service.address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@contextmanager
def suspended(pids: list[int]) -> Iterator[None]:
    """Suspend processes for so long that all of their timers are due at once when they continue."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    time.sleep(DUE)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("all_of_them", [True, False])
def test_connections_in_the_backlog_get_responses(
    settings: dict[str, str], tmp_path: Path, connected: Connected, all_of_them: bool
) -> None:
    with Service.started(tmp_path, settings) as service:
        workers = service.workers()
        with suspended(workers):
            waiting = [connected(service) for _ in range(24)]
            for connection in waiting:
                connection.request(*POST, JSON)
            for pid in [service.process.pid] if all_of_them else workers:
                os.kill(pid, signal.SIGTERM)
        answers = [read_response(connection) for connection in waiting]
        assert [answer.status for answer in answers] == [401] * 24
        if all_of_them:
            assert {answer.getheader("Connection") for answer in answers} == {"close"}
            assert service.process.wait(15) == 0


def test_a_draining_worker_serves_the_backlog_when_the_master_stops(
    settings: dict[str, str], tmp_path: Path, upstream: Upstream, connected: Connected, phone: str
) -> None:
    """A worker that drains accepts no connections; then the master stops, and no other worker replaces the first."""
    held = up.Held(up.answer(up.SENT))
    upstream.script.append(held)
    given = {**settings, "INFOBIP_BASE_URL": upstream.url, "WEB_CONCURRENCY": "1"}
    with Service.started(tmp_path, given) as service, ThreadPoolExecutor(1) as client:
        sent = client.submit(service.send, phone)
        held.came.wait(30)
        (worker,) = service.workers()
        os.kill(worker, signal.SIGTERM)
        eventually(lambda: service.lines(event="stopping"))
        waiting = [connected(service) for _ in range(20)]
        for connection in waiting:
            connection.request(*POST, JSON)
        service.process.send_signal(signal.SIGTERM)
        assert [read_response(connection).status for connection in waiting] == [401] * 20
        held.release()
        assert sent.result().status_code == 200
        assert service.process.wait(15) == 0


def test_an_idle_connection_may_send_one_more_request_after_a_stop(
    settings: dict[str, str], tmp_path: Path, connected: Connected
) -> None:
    with Service.started(tmp_path, settings) as service:
        idle, silent = connected(service), connected(service)
        assert guess_pin(idle) == 401
        service.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(service))
        idle.request(*POST, JSON)
        answer = read_response(idle)
        assert (answer.status, answer.getheader("Connection")) == (401, "close")
        assert silent.sock.recv(1) == b"", "one that asks nothing is let go in order"
        assert service.process.wait(15) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_send_in_flight_gets_its_response_and_a_closed_connection(
    settings: dict[str, str],
    tmp_path: Path,
    upstream: Upstream,
    connected: Connected,
    phone: str,
    number: signal.Signals,
) -> None:
    """This holds whether the master stops or is killed."""
    answered = threading.Event()

    def hold(connection: socket.socket) -> None:
        answered.wait(9)
        up.answer(up.SENT)(connection)

    upstream.script.append(hold)
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": upstream.url}) as service:
        workers = service.workers()
        connection = connected(service)
        connection.request("POST", "/send-otp", b'{"phoneNumber": "%s"}' % phone.encode(), JSON)
        eventually(lambda: upstream.requests)
        service.process.send_signal(number)
        eventually(lambda: is_refused(service))
        answered.set()
        answer = read_response(connection)
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers))


@pytest.mark.long
def test_after_an_upgrade_the_new_master_serves_on_the_same_socket(
    settings: dict[str, str], tmp_path: Path, connected: Connected
) -> None:
    """After SIGUSR2, the old master shares its socket with the new one, so it must leave it open on SIGTERM."""
    port, pid_file = free_port(), tmp_path / "pid"
    gunicorn = str(Path(sys.executable).parent / "gunicorn")
    command = [gunicorn, "-c", str(ROOT / "gunicorn.conf.py"), "-b", f"127.0.0.1:{port}", "-p", str(pid_file)]
    environment = {**ACCOUNT, **settings, "PATH": os.environ["PATH"], "METRICS_PORT": "0", "TMPDIR": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        old = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        service = Service(old, port, tmp_path / "log")
        try:
            service.wait_until_up(2)
        except AssertionError:
            old.kill()
            raise
        old.send_signal(signal.SIGUSR2)
        eventually(lambda: Path(f"{pid_file}.2").exists(), 30)
        new = psutil.Process(int(Path(f"{pid_file}.2").read_text()))
        eventually(lambda: len(new.children()) == 2, 30)
        old.terminate()
        assert old.wait(15) == 0
        try:
            for _ in range(8):
                assert guess_pin(connected(service)) == 401
        finally:
            new.terminate()
            eventually(lambda: not new.is_running())


class Crowd:
    """Clients that send requests as fast as they get responses, half of them on a new connection for each request."""

    def __init__(self, address: tuple[str, int], clients: int = 16) -> None:
        self._address = address
        self._stopped = threading.Event()
        self.seen: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._send_requests, number % 2 == 0) for number in range(clients)]

    def end(self) -> None:
        self._stopped.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    def _send_requests(self, keeps: bool) -> None:
        connection: HTTPConnection | None = None
        while not self._stopped.is_set():
            if connection is None or connection.sock is None or not keeps:
                connection = self._reconnect(connection)
            if connection:
                self._count(connection)
        if connection:
            connection.close()

    def _reconnect(self, old: HTTPConnection | None) -> HTTPConnection | None:
        if old:
            old.close()
        connection = HTTPConnection(*self._address, timeout=30)
        try:
            connection.connect()
        except ConnectionRefusedError:
            self.seen["refused"] += 1
            time.sleep(0.01)
            return None
        return connection

    def _count(self, connection: HTTPConnection) -> None:
        try:
            self.seen[str(guess_pin(connection))] += 1
        except (OSError, HTTPException) as e:
            self.seen[f"lost: {type(e).__name__}"] += 1
            connection.close()


def lost(seen: Counter[str]) -> dict[str, int]:
    """Return the counts of connections that got no response, or one that leaves the result unknown."""
    return {what: times for what, times in seen.items() if what not in ("401", "refused", "503")}


def test_a_stop_under_load_loses_nothing(settings: dict[str, str], tmp_path: Path) -> None:
    assert_stops_lose_nothing(settings, tmp_path, 1)


@pytest.mark.long
def test_twenty_stops_under_load_lose_nothing(settings: dict[str, str], tmp_path: Path) -> None:
    assert_stops_lose_nothing(settings, tmp_path, 20)


def stop_under_load(service: Service, crowd: Crowd) -> None:
    before = crowd.seen["401"]
    eventually(lambda: crowd.seen["401"] > before + 100)
    service.process.terminate()
    assert service.process.wait(20) == 0


def assert_stops_lose_nothing(settings: dict[str, str], tmp_path: Path, times: int) -> None:
    settings = {**settings, **UNMEASURED, "PORT": str(free_port())}
    crowd = Crowd(("127.0.0.1", int(settings["PORT"])))
    try:
        for _ in range(times):
            with Service.started(tmp_path, settings) as service:
                stop_under_load(service, crowd)
    finally:
        crowd.end()
    assert lost(crowd.seen) == {}
    assert crowd.seen["401"] > 100 * times


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_workers_that_are_replaced_under_load_lose_nothing(
    settings: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with Service.started(tmp_path, settings) as service:
        crowd = Crowd(service.address)
        try:
            for _ in range(3):
                before, old = crowd.seen["401"], service.workers()
                eventually(lambda before=before: crowd.seen["401"] > before + 50)  # type: ignore[misc]
                os.kill(old[0] if number == signal.SIGTERM else service.process.pid, number)
                eventually(lambda old=old: old[0] not in service.workers() and len(service.workers()) == 2, 30)  # type: ignore[misc]
        finally:
            crowd.end()
    assert lost(crowd.seen) == {}
    assert not crowd.seen["refused"]


@pytest.mark.long
def test_twenty_stops_behind_the_proxy_lose_nothing(settings: dict[str, str], tmp_path: Path, nginx: str) -> None:
    """One of two replicas is stopped and started again. No request fails, since the other replica keeps running."""
    hosts = ("127.0.0.2", "127.0.0.3")
    settings = {**settings, **UNMEASURED, "PORT": str(free_port()), "TRUSTED_PROXIES": "1", "WEB_CONCURRENCY": "1"}
    (tmp_path / "steady").mkdir()
    with (
        Service.started(tmp_path / "steady", settings, hosts[0]) as steady,
        Proxied.started(nginx, [steady], tmp_path) as proxied,
    ):
        proxied.set_replicas(*hosts)
        crowd = Crowd(("127.0.0.1", proxied.port))
        try:
            for _ in range(20):
                with Service.started(tmp_path, settings, hosts[1]) as service:
                    stop_under_load(service, crowd)
        finally:
            crowd.end()
    assert lost(crowd.seen) == {}
    assert not crowd.seen["503"]
