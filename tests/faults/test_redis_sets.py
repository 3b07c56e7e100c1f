"""Tests the failovers of Sentinels and of a Cluster: one server is lost, and another one takes its place."""

from collections.abc import Callable
from signal import SIGCONT, SIGSTOP

import redis

from sandbox.free_port import free_port
from tests.faults.invariants import (
    TOO_MANY,
    UNAVAILABLE,
    back_within,
    is_ready,
    quickly_refused,
    whole_flow,
    within_two_seconds,
)
from tests.support.redis_servers import Servers, eventually, node
from tests.support.running import Sandbox, Service, refusal

Start = Callable[..., Service]
NO = (401, "invalid_otp")


def on_sentinel(start: Start, sandbox: Sandbox, sentinel: int) -> Service:
    url = f"redis+sentinel://127.0.0.1:{sentinel}/main"
    return start(sandbox.url, REDIS_URL=url, WEB_CONCURRENCY="1")


def is_primary(port: int) -> bool:
    return bool(node(port).info("replication")["role"] == "master")


def test_the_service_follows_a_failover_after_the_primary_died(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    primary, replica, sentinel = servers.replicated()
    service = on_sentinel(start, sandbox, sentinel)
    used, pending = "+14155552671", phone
    whole_flow(service, sandbox, used)
    assert service.send(pending).status_code == 200
    eventually(lambda: node(primary).execute_command("WAIT", 1, 1000))
    servers.processes[primary].kill()
    while not is_primary(replica):
        assert within_two_seconds(service, "/send-otp", phoneNumber=pending) in (UNAVAILABLE, TOO_MANY)
    back_within(5, service, "+442071838750")
    assert service.verify(pending, sandbox.pin(pending)).status_code == 200
    assert refusal(service.verify(pending, sandbox.pin(pending))) == NO
    assert refusal(service.verify(used, sandbox.pin(used))) == NO
    every_key_expires(replica)


def test_a_primary_that_hung_gets_no_writes_after_the_failover(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """It regards itself as the primary until the Sentinel demotes it. Writes until then would be lost."""
    primary, replica, sentinel = servers.replicated()
    service = on_sentinel(start, sandbox, sentinel)
    whole_flow(service, sandbox, phone)
    servers.processes[primary].send_signal(SIGSTOP)
    assert within_two_seconds(service, "/send-otp", phoneNumber=phone) == UNAVAILABLE  # the next may reach the replica
    eventually(lambda: is_primary(replica))
    back_within(5, service, "+442071838750")
    servers.processes[primary].send_signal(SIGCONT)
    assert is_primary(primary)
    for number in range(10000000, 10000010):
        assert service.send(f"+49155{number}").status_code == 200
        assert node(replica).exists(f"otp:phoneNumber:+49155{number}")
    every_key_expires(replica)


def test_the_service_follows_the_states_of_a_cluster_of_three(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """The Cluster is down at the start, then runs, then hangs, then is gone."""
    ports = [free_port() for _ in range(3)]
    service = on_cluster(start, sandbox, ports)
    quickly_refused(service, phone)
    servers.cluster(3, ports=ports)
    back_within(5, service, phone)
    for number in range(10000000, 10000010):
        whole_flow(service, sandbox, f"+49155{number}")
    assert all(node(port).dbsize() for port in ports), "the keys are spread"
    every_key_expires(*ports)
    for port in ports:
        servers.processes[port].send_signal(SIGSTOP)
    quickly_refused(service, phone)
    for port in ports:
        servers.processes[port].kill()
    quickly_refused(service, phone)


def test_the_service_follows_a_promoted_replica_in_a_cluster(servers: Servers, start: Start, sandbox: Sandbox) -> None:
    """The node hangs, so requests to it time out."""
    ports = servers.cluster(3)
    replica = servers.replica_of(ports[0])
    service = on_cluster(start, sandbox, ports)
    phones = [f"+49155{number}" for number in range(30000000, 30000020)]
    for phone in phones:
        assert service.send(phone).status_code == 200
    lost = next(node(ports[0]).scan_iter("otp:phoneNumber:*")).removeprefix("otp:phoneNumber:")
    node(ports[0]).execute_command("WAIT", 1, 1000)
    servers.processes[ports[0]].send_signal(SIGSTOP)
    while not is_primary(replica):
        assert within_two_seconds(service, "/send-otp", phoneNumber=lost) in (UNAVAILABLE, TOO_MANY)
    eventually(lambda: all(node(port).cluster("INFO")["cluster_state"] == "ok" for port in (*ports[1:], replica)))
    eventually(lambda: {service.send(lost).status_code for _ in range(20)} == {429}, seconds=5)  # by either worker
    for phone in phones:
        assert service.verify(phone, sandbox.pin(phone)).status_code == 200
        assert refusal(service.verify(phone, sandbox.pin(phone))) == NO
    assert is_ready(service)
    every_key_expires(*ports[1:], replica)


def on_cluster(start: Start, sandbox: Sandbox, ports: list[int]) -> Service:
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
    return start(sandbox.url, REDIS_URL=url)


def every_key_expires(*ports: int) -> None:
    """Check that every key of the service has a time to live."""
    for port in ports:
        with redis.Redis(port=port) as client:
            assert [key for key in client.scan_iter() if client.ttl(key) == -1] == []
