"""Tests that clients cannot use up the memory, the file descriptors or the sockets."""

import itertools
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import psutil
import redis
import requests

from tests.faults.invariants import seconds, whole_flow
from tests.support.command import eventually
from tests.support.running import Sandbox, Service

Start = Callable[..., Service]
REQUESTS = 20_000 if os.environ.get("SOAK") else 2_000
MEGABYTE = 2**20
_numbers = itertools.count(10000000)


def mixed(service: Service, sandbox: Sandbox, count: int) -> None:
    """Make this number of requests of every kind, from eight clients at once; each makes six in a row."""

    def ask(_: int) -> None:
        with requests.Session() as session:
            for _ in range(count // 48):
                phone = f"+49163{next(_numbers)}"
                sent = session.post(f"{service.url}/send-otp", json={"phoneNumber": phone}, timeout=10)
                assert sent.status_code == 200
                guess = {"phoneNumber": phone, "pin": "abcdef"}
                assert session.post(f"{service.url}/verify-otp", json=guess, timeout=10).status_code == 400
                assert session.post(f"{service.url}/verify-otp", data=b"{" * 9999, timeout=10).status_code == 415
                assert (
                    session.post(f"{service.url}/send-otp", json={"phoneNumber": phone}, timeout=10).status_code == 429
                )
                guess["pin"] = sandbox.pin(phone)
                assert session.post(f"{service.url}/verify-otp", json=guess, timeout=10).status_code == 200
                assert session.get(f"{service.url}/nothing", timeout=10).status_code == 404

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(ask, range(8)))


def test_many_requests_leak_no_memory_and_no_files(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, COVERAGE_PROCESS_CONFIG="")
    eventually(lambda: len(service.workers()) == 2)
    mixed(service, sandbox, REQUESTS // 4)  # what is created only once exists afterwards
    workers = [psutil.Process(pid) for pid in service.workers()]
    memory = [worker.memory_info().rss for worker in workers]
    files = [worker.num_fds() for worker in workers]
    mixed(service, sandbox, REQUESTS)
    growth = [worker.memory_info().rss - before for worker, before in zip(workers, memory, strict=True)]
    assert max(growth) < 20 * MEGABYTE
    files_now = [worker.num_fds() for worker in workers]
    print(f"{REQUESTS} requests: MB {[round(more / MEGABYTE, 1) for more in growth]}, files {files} {files_now}")  # noqa: T201
    # Eight clients at once may leave eight connections to Redis, and eight to Infobip, for the next ones.
    assert max(files_now) <= max(files) + 16
    assert service.workers() == [worker.pid for worker in workers]


HEAD = b"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Slow: "
BODY = b"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n"


def test_clients_that_never_finish_do_not_delay_others(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    """200 clients send a byte now and then, half of them in the head and half in the body, until the service closes."""
    service = start(sandbox.url)
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", service.port))) for _ in range(200)]
        for number, client in enumerate(slow):
            client.sendall(BODY if number % 2 else HEAD)
            client.setblocking(False)
        until = time.monotonic() + 30  # twice what it takes, for a busy machine
        while slow:
            slow = [client for client in slow if goes_on(client)]
            whole_flow(service, sandbox, f"+49170{next(_numbers)}")
            assert seconds(service.get("/healthz")) < 2
            assert time.monotonic() < until, f"{len(slow)} are still there"
            time.sleep(0.2)


def goes_on(client: socket.socket) -> bool:
    """Send another byte. Return whether the service still listens."""
    with suppress(BlockingIOError):
        try:
            client.sendall(b" ")
            while client.recv(65536):
                pass
        except ConnectionError:
            return False
        return False
    return True
