"""Redis refuses writes on open connections, or the connections fail without notice."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest
import requests

from sandbox.free_port import free_port
from tests.faults import redis_proxy as rp
from tests.faults.invariants import back_within, is_ready, quickly_refused, whole_flow
from tests.faults.redis_proxy import RedisProxy
from tests.support.redis_servers import Servers, eventually, node
from tests.support.running import Sandbox, Service

Start = Callable[..., Service]
SETTINGS = {"WEB_CONCURRENCY": "1"}
IDLE = 12  # seconds without a request, more than the idle time after which the service first checks the connection
OTHERS = "+442071838750"


def phones(first: int, amount: int) -> list[str]:
    return [f"+49156{first + number}" for number in range(amount)]


def crowd(service: Service, of: list[str]) -> None:
    """Send to all at once, so that the service opens as many connections as it ever will."""
    with ThreadPoolExecutor(20) as executor:
        assert {answer.status_code for answer in executor.map(service.send, of)} == {200}


@pytest.fixture
def service(every_proxy: RedisProxy, start: Start, sandbox: Sandbox) -> Service:
    return start(sandbox.url, REDIS_URL=every_proxy.url, **SETTINGS)


def test_the_service_stops_using_a_demoted_primary(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """Both share an address, as in a Kubernetes Service: new connections reach the new primary, old ones stay open."""
    old = servers.start(free_port(), "--save", "")
    new = servers.start(free_port(), "--save", "", "--replicaof", f"127.0.0.1 {old}")
    eventually(lambda: node(new).info("replication")["master_link_status"] == "up")
    with RedisProxy(old) as proxy:
        service = start(sandbox.url, REDIS_URL=proxy.url, **SETTINGS)
        crowd(service, phones(10000000, 40))
        pending = phones(10000000, 1)[0]
        node(old).execute_command("WAIT", 1, 1000)
        node(new).execute_command("REPLICAOF", "NO", "ONE")
        node(old).execute_command("REPLICAOF", "127.0.0.1", new)
        assert not is_ready(service)
        proxy.server_port = new
        back_within(5, service, phone)
        crowd(service, phones(20000000, 40))
        assert service.verify(pending, sandbox.pin(pending)).status_code == 200
        assert is_ready(service)
    assert all(node(new).exists(f"otp:phoneNumber:{number}") for number in phones(20000000, 40))


@contextmanager
def configured(port: int, **settings: str) -> Iterator[None]:
    before = {name: str(node(port).config_get(name)[name]) for name in settings}
    for name, value in settings.items():
        node(port).config_set(name, value)
    yield
    for name, value in before.items():
        node(port).config_set(name, value)


@contextmanager
def read_only(port: int) -> Iterator[None]:
    """In the block, the server replies READONLY."""
    node(port).execute_command("REPLICAOF", "127.0.0.1", free_port())
    yield
    node(port).execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def without_its_primary(port: int) -> Iterator[None]:
    """In the block, the server replies MASTERDOWN."""
    with configured(port, **{"replica-serve-stale-data": "no"}), read_only(port):
        yield


@contextmanager
def full(port: int) -> Iterator[None]:
    """In the block, the server replies OOM."""
    with configured(port, **{"maxmemory-policy": "noeviction", "maxmemory": "1"}):
        yield


@contextmanager
def without_replicas(port: int) -> Iterator[None]:
    """In the block, the server replies NOREPLICAS."""
    with configured(port, **{"min-replicas-to-write": "1"}):
        yield


@pytest.mark.parametrize("fault", [read_only, without_its_primary, full, without_replicas])
def test_the_service_is_not_ready_while_redis_refuses_writes(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str, fault: Callable[[int], AbstractContextManager[None]]
) -> None:
    port = servers.start(free_port(), "--save", "")
    service = start(sandbox.url, REDIS_URL=f"redis://127.0.0.1:{port}", **SETTINGS)
    crowd(service, phones(30000000, 40))
    requests_before = sandbox.request_count()
    with fault(port):
        quickly_refused(service, phone)
        assert not is_ready(service)
        assert sandbox.request_count() == requests_before
    back_within(5, service, phone)


@pytest.mark.parametrize("word", ["LOADING", "MASTERDOWN", "CLUSTERDOWN", "MISCONF", "READONLY"])
def test_the_service_is_not_ready_while_redis_replies(
    every_proxy: RedisProxy, service: Service, sandbox: Sandbox, phone: str, word: str
) -> None:
    """A new connection to the same server may reply differently from an open one."""
    whole_flow(service, sandbox, phone)
    requests_before = sandbox.request_count()
    every_proxy.fault(rp.refuse(f"{word} for a while"))
    quickly_refused(service, OTHERS)
    assert not is_ready(service)
    assert sandbox.request_count() == requests_before
    every_proxy.heal()
    back_within(5, service, OTHERS)


def test_the_service_recovers_when_a_cluster_has_its_lost_slot_again(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """A Cluster that has lost a slot replies CLUSTERDOWN for every key."""
    (port,) = servers.cluster(1)
    service = start(sandbox.url, REDIS_URL=f"redis+cluster://127.0.0.1:{port}", **SETTINGS)
    crowd(service, phones(40000000, 40))
    node(port).execute_command("CLUSTER", "DELSLOTS", 0)
    eventually(lambda: node(port).cluster("INFO")["cluster_state"] == "fail")
    quickly_refused(service, phone)
    assert not is_ready(service)
    node(port).execute_command("CLUSTER", "ADDSLOTS", 0)
    eventually(lambda: node(port).cluster("INFO")["cluster_state"] == "ok")
    back_within(5, service, phone)


def test_connections_that_died_while_idle_delay_no_request(
    all_proxies: list[RedisProxy], start: Start, sandbox: Sandbox
) -> None:
    services = [start(sandbox.url, REDIS_URL=proxy.url, **SETTINGS) for proxy in all_proxies]
    of_each = [phones(50000000 + 1000000 * number, 50) for number in range(len(services))]
    for service, some in zip(services, of_each, strict=True):
        crowd(service, some[:40])
    for proxy in all_proxies:
        proxy.fall_silent()
    time.sleep(IDLE)  # the fault itself: there is no request for so long
    for service, some in zip(services, of_each, strict=True):
        for phone in some[40:]:
            soon(service.send, phone)
        for phone in some[:10]:
            soon(service.verify, phone, sandbox.pin(phone))


def test_connections_that_die_in_use_are_replaced(every_proxy: RedisProxy, service: Service, phone: str) -> None:
    """The results of the commands on these connections are unknown; other commands lose nothing."""
    crowd(service, phones(70000000, 40))
    every_proxy.fall_silent()
    back_within(5, service, phone)
    crowd(service, phones(80000000, 40))
    assert is_ready(service)


def soon(ask: Callable[..., requests.Response], *about: str) -> None:
    """Check that the service responds with 200 without a wait."""
    started = time.monotonic()
    response = ask(*about)
    assert response.status_code == 200, response.text
    assert time.monotonic() - started < 1.2
