"""Where Infobip hangs, only what needs Infobip hangs, and only so much of it."""

import itertools
import json
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis
import requests

from config import CONCURRENCY
from tests.command import eventually
from tests.conftest import OPEN
from tests.parts import Service, refusal
from tests.upstream import SENT, Upstream, answer

GROUP = 25
AT_ONCE = 5.0  # seconds; what hangs, hangs for forty
SETTINGS = {
    "INFOBIP_TIMEOUT": "40s",
    "RESEND_COOLDOWN": "60s",
    "WEB_CONCURRENCY": "1",
    "SEND_OTP_LIMIT": OPEN,
    "VERIFY_OTP_LIMIT": OPEN,
}
Start = Callable[..., Service]


class Hanging:
    """Sends that Infobip takes and answers only when it is let."""

    def __init__(self, service: Service, upstream: Upstream) -> None:
        self._service, self._upstream = service, upstream
        self._let = threading.Event()
        self._places = itertools.count()
        self.asking: list[socket.socket] = []

    def ask(self, amount: int) -> None:
        """Each group once the one before it hangs: this is not about a crowd at Redis."""
        self._upstream.script.extend([self._hold] * amount)
        there = len(self._upstream.requests)
        for number in range(amount):
            if number % GROUP == 0:
                eventually(lambda: len(self._upstream.requests) == there + number)  # noqa: B023  called at once
            connection = socket.create_connection(("127.0.0.1", self._service.port), timeout=60)
            body = json.dumps({"phoneNumber": f"+49152{10000000 + number}"}).encode()
            head = (
                f"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            )
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            self.asking.append(connection)

    def _hold(self, connection: socket.socket) -> None:
        place = next(self._places)
        self._let.wait(60)
        time.sleep(place * 0.005)  # one after the other, for the same reason
        answer(SENT)(connection)

    def answered(self) -> Counter[int]:
        """Let Infobip answer, and count the statuses of all."""
        self._let.set()
        return Counter(int(connection.recv(4096).split()[1]) for connection in self.asking)

    def end(self) -> None:
        self._let.set()
        for connection in self.asking:
            connection.close()


@pytest.fixture
def service(start: Start, database: redis.Redis, upstream: Upstream) -> Service:
    return start(upstream.url, **SETTINGS)


@pytest.fixture
def hanging(service: Service, upstream: Upstream) -> Iterator[Hanging]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    hanging = Hanging(service, upstream)
    yield hanging
    hanging.end()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def others_are_served(service: Service, *phones: str) -> None:
    """Each phone has a PIN. Its verify, and the health of the service, take no time."""
    for phone in phones:
        started = time.monotonic()
        assert service.verify(phone, "123456").status_code == 200
        assert requests.get(f"{service.url}/healthz", timeout=AT_ONCE).status_code == 200
        assert requests.get(f"{service.url}/readyz", timeout=AT_ONCE).status_code == 200
        assert time.monotonic() - started < AT_ONCE


def test_fifty_sends_that_hang_slow_nobody_else(service: Service, upstream: Upstream, hanging: Hanging) -> None:
    phones = [f"+49151900000{n:02}" for n in range(10)]
    for phone in phones:
        assert service.send(phone).status_code == 200
    hanging.ask(50)
    eventually(lambda: len(upstream.requests) == 60)
    others_are_served(service, *phones)
    assert service.send("+14155552671").status_code == 200
    assert hanging.answered() == {200: 50}


def test_beyond_its_capacity_a_worker_refuses_at_once(
    service: Service, upstream: Upstream, database: redis.Redis, hanging: Hanging, phone: str
) -> None:
    """Half of the calls may be sends. Who is refused was not counted, and later there is room again."""
    room, beyond = CONCURRENCY // 2, 50
    assert service.send(phone).status_code == 200
    hanging.ask(room)
    eventually(lambda: len(upstream.requests) == 1 + room)
    started = time.monotonic()
    refused = [service.send(f"+49153{10000000 + number}") for number in range(beyond)]
    assert {refusal(response) for response in refused} == {(503, "service_unavailable")}
    assert {response.headers["Retry-After"] for response in refused} == {"1"}
    assert time.monotonic() - started < AT_ONCE
    others_are_served(service, phone)
    assert len(upstream.requests) == 2 + room, "of those refused, none got there"
    assert not database.exists("otp:cooldown:+4915310000000")
    assert hanging.answered() == {200: room}
    assert service.send("+4915310000000").status_code == 200
