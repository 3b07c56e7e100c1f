"""If Infobip hangs, only requests that need Infobip hang, and only a limited number of them."""

import json
import resource
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis
import requests

from config import CONCURRENCY
from tests.support.command import eventually
from tests.support.holding_upstream import HoldingUpstream
from tests.support.running import Service, refusal

GROUP = 50
FILES = 2 * CONCURRENCY + 1000  # this process has the other ends of all connections of the service
AT_ONCE = 5.0  # seconds; a call that hangs takes sixty
SETTINGS = {
    "INFOBIP_TIMEOUT": "60s",
    "RESEND_COOLDOWN": "70s",
    "WEB_CONCURRENCY": "1",
}
Start = Callable[..., Service]


class Hanging:
    """Sends to which Infobip responds only in `answered`. They start in groups, so that Redis is not overloaded."""

    def __init__(self, service: Service, upstream: HoldingUpstream) -> None:
        self._service, self._upstream = service, upstream
        self._pending = selectors.DefaultSelector()

    def ask(self, amount: int) -> None:
        """Start each group when the one before it hangs."""
        self._upstream.holds = True
        there = self._upstream.sends
        for number in range(amount):
            if number % GROUP == 0:
                eventually(lambda: self._upstream.sends == there + number)  # noqa: B023  called at once
            self._ask(f"+49152{10000000 + number}")
        eventually(lambda: self._upstream.sends == there + amount)

    def _ask(self, phone: str) -> None:
        connection = socket.create_connection(("127.0.0.1", self._service.port), timeout=60)
        body = json.dumps({"phoneNumber": phone}).encode()
        head = f"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        self._pending.register(connection, selectors.EVENT_READ)

    def answered(self) -> Counter[int]:
        """Let Infobip respond, and count the statuses of all sends."""
        self._upstream.holds = False
        statuses: Counter[int] = Counter()
        while amount := min(GROUP, len(self._pending.get_map())):
            self._upstream.release(amount)
            statuses += self._statuses(amount)
        return statuses

    def _statuses(self, amount: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        while statuses.total() < amount:
            ready = self._pending.select(timeout=30)
            assert ready
            statuses += Counter(self._status(key.fileobj) for key, _ in ready)  # type: ignore[arg-type]
        return statuses

    def _status(self, connection: socket.socket) -> int:
        self._pending.unregister(connection)
        with connection:
            return int(connection.recv(4096).split()[1])

    def end(self) -> None:
        for key in list(self._pending.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._pending.close()


@pytest.fixture
def upstream() -> Iterator[HoldingUpstream]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= FILES, "this takes more open files than the machine allows: see `ulimit -Hn`"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    with HoldingUpstream() as upstream:
        yield upstream
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def service(start: Start, database: redis.Redis, upstream: HoldingUpstream) -> Service:
    return start(upstream.url, **SETTINGS)


@pytest.fixture
def hanging(service: Service, upstream: HoldingUpstream) -> Iterator[Hanging]:
    hanging = Hanging(service, upstream)
    yield hanging
    hanging.end()


def others_are_served(service: Service, *phones: str) -> None:
    """Check that phones with a PIN can verify quickly, and that the health endpoints respond quickly."""
    for phone in phones:
        started = time.monotonic()
        assert service.verify(phone, "123456").status_code == 200
        assert requests.get(f"{service.url}/healthz", timeout=AT_ONCE).status_code == 200
        assert requests.get(f"{service.url}/readyz", timeout=AT_ONCE).status_code == 200
        assert time.monotonic() - started < AT_ONCE


def test_fifty_hanging_sends_do_not_slow_other_requests(
    service: Service, upstream: HoldingUpstream, hanging: Hanging
) -> None:
    phones = [f"+49151900000{n:02}" for n in range(10)]
    for phone in phones:
        assert service.send(phone).status_code == 200
    hanging.ask(50)
    others_are_served(service, *phones)
    upstream.holds = False
    assert service.send("+14155552671").status_code == 200
    assert hanging.answered() == {200: 50}


def test_beyond_its_capacity_a_worker_refuses_at_once(
    service: Service, upstream: HoldingUpstream, database: redis.Redis, hanging: Hanging, phone: str
) -> None:
    """Sends have a capacity of their own. Refused requests are not counted, and later there is room again."""
    assert CONCURRENCY >= 2500
    beyond = 50
    assert service.send(phone).status_code == 200
    hanging.ask(CONCURRENCY)
    started = time.monotonic()
    refused = [service.send(f"+49153{10000000 + number}") for number in range(beyond)]
    assert {refusal(response) for response in refused} == {(503, "service_unavailable")}
    assert {response.headers["Retry-After"] for response in refused} == {"1"}
    assert time.monotonic() - started < AT_ONCE
    others_are_served(service, phone)
    assert upstream.sends == 1 + CONCURRENCY, "of those refused, none got there"
    assert not database.exists("{otp:phoneNumber:+4915310000000}:cooldown")
    assert hanging.answered() == {200: CONCURRENCY}
    assert service.send("+4915310000000").status_code == 200
