"""When many requests race over two workers, one of them wins, one SMS is sent, and no guess too many is allowed."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.support.running import LAX, Sandbox, Service, other_pin

CROWD = 32
ONCE = LAX.copy_with({"allow_multiple_pin_verifications": False})  # as `flask infobip setup` configures it
_kept = threading.local()
_opened: list[socket.socket] = []


@pytest.fixture(scope="module")
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(60) as executor:
        yield executor
    while _opened:
        _opened.pop().close()


@pytest.fixture
def fast(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service without coverage measurement, which would only make the races slower."""
    service = start(sandbox.url, COVERAGE_PROCESS_CONFIG="")
    while len(service.workers()) < 2:
        time.sleep(0.01)
    return service


def post(service: Service, path: str, body: dict[str, str]) -> int:
    """Post on this thread's own connection and return the status. A client library would be the slowest part."""
    if getattr(_kept, "port", None) != service.port:
        _kept.port, _kept.socket = service.port, socket.create_connection(("127.0.0.1", service.port), timeout=30)
        _opened.append(_kept.socket)
    content = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    _kept.socket.sendall(f"{head}\r\n\r\n{content}".encode())
    answer = b""
    while not answer.endswith((b"}", b"}\n")):
        received = _kept.socket.recv(65536)
        assert received, answer
        answer += received
    return int(answer.split(b" ", 2)[1])


def test_of_32_right_pins_at_once_one_wins_in_300_rounds(
    fast: Service, sandbox: Sandbox, database: redis.Redis, crowd: ThreadPoolExecutor, phone: str
) -> None:
    """Where Infobip verifies a PIN once, it does not know it any more for the others, which must not take it away."""
    for n in range(300):
        sandbox.reset(LAX if n % 2 else ONCE)
        assert post(fast, "/send-otp", {"phoneNumber": phone}) == 200
        guess = {"phoneNumber": phone, "pin": sandbox.pin(phone)}
        statuses = Counter(crowd.map(lambda _: post(fast, "/verify-otp", guess), range(CROWD)))  # noqa: B023
        assert statuses == {200: 1, 401: CROWD - 1}
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_of_60_wrong_pins_at_once_five_reach_infobip_and_ten_per_day(
    fast: Service, sandbox: Sandbox, database: redis.Redis, crowd: ThreadPoolExecutor, phone: str
) -> None:
    for rounds in range(1, 5):
        post(fast, "/send-otp", {"phoneNumber": phone})
        guess = {"phoneNumber": phone, "pin": other_pin(sandbox.pin(phone))}
        statuses = Counter(crowd.map(lambda _: post(fast, "/verify-otp", guess), range(60)))  # noqa: B023
        assert statuses == {401: 60}
        assert sandbox.verifies() == min(5 * rounds, 10)
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_of_32_sends_at_once_one_sends(
    fast: Service, sandbox: Sandbox, database: redis.Redis, crowd: ThreadPoolExecutor, phone: str
) -> None:
    for rounds in range(1, 21):
        statuses = Counter(crowd.map(lambda _: post(fast, "/send-otp", {"phoneNumber": phone}), range(CROWD)))
        assert statuses == {200: 1, 429: CROWD - 1}
        assert len(sandbox.pins(phone)) == rounds
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_limits_are_exact_however_many_requests_race(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, crowd: ThreadPoolExecutor
) -> None:
    service = start(sandbox.url, TOTAL_SEND_LIMIT="20 per day", SEND_OTP_LIMIT="50 per hour")
    bodies = [{"phoneNumber": f"+49153{n}"} for n in range(10000000, 10000060)]
    statuses = Counter(crowd.map(lambda body: post(service, "/send-otp", body), bodies))
    assert statuses == {200: 20, 429: 40}
    assert len(sandbox.messages) == 20
