"""Processes are stopped, killed, restarted and replaced: a stop loses no response, and no SMS goes out twice."""

import itertools
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import requests

from tests.faults.invariants import TOO_MANY
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.running import Service, refusal
from tests.support.upstream import Upstream

_numbers = itertools.count(10000000)


@contextmanager
def started(directory: Path, base_url: str, redis_url: str, **settings: str) -> Iterator[Service]:
    given = {"INFOBIP_BASE_URL": base_url, "REDIS_URL": redis_url, **settings}
    with Service.started(directory, given) as service:
        eventually(lambda: len(service.workers()) == int(settings.get("WEB_CONCURRENCY", 2)))
        yield service


def after(act: up.Act, seconds: float = 0, first: Callable[[], object] = lambda: None) -> up.Act:
    """Read the request, call `first`, wait, and then `act`."""

    def later(connection: socket.socket) -> None:
        first()
        time.sleep(seconds)
        act(connection)

    return later


def test_a_stop_waits_for_all_sends_in_flight(
    upstream: Upstream, database: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    phones = [f"+49160{next(_numbers)}" for _ in range(20)]
    upstream.script.extend([after(up.answer(up.SENT), 3)] * 20)
    with started(tmp_path, upstream.url, redis_url) as service, ThreadPoolExecutor(20) as executor:
        answers = [executor.submit(service.send, phone) for phone in phones]
        eventually(lambda: len(upstream.requests) == 20)
        service.process.terminate()
        assert {answer.result().status_code for answer in answers} == {200}
        assert service.process.wait(60) == 0
    assert len(upstream.requests) == 20
    with started(tmp_path, upstream.url, redis_url) as service:
        assert {service.verify(phone, "123456").status_code for phone in phones} == {200}


@pytest.fixture
def one_worker(upstream: Upstream, database: redis.Redis, redis_url: str, tmp_path: Path) -> Iterator[Service]:
    with started(tmp_path, upstream.url, redis_url, WEB_CONCURRENCY="1") as service:
        yield service


def kill(service: Service) -> Callable[[], None]:
    (worker,) = service.workers()
    return lambda: os.kill(worker, signal.SIGKILL)


def test_a_send_whose_worker_is_killed_sends_one_sms(
    one_worker: Service, upstream: Upstream, database: redis.Redis, phone: str
) -> None:
    upstream.script.append(after(up.answer(up.SENT), first=kill(one_worker)))
    key = {"Idempotency-Key": "killed-in-the-middle"}
    with pytest.raises(requests.ConnectionError):
        one_worker.send(phone, headers=key)
    one_worker.wait_until_up()
    assert refusal(one_worker.send(phone)) == TOO_MANY
    assert refusal(one_worker.send(phone, headers=key)) == (409, "request_in_progress")
    assert len(upstream.requests) == 1
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert one_worker.send(phone).status_code == 200
    assert [one_worker.verify(phone, "123456").status_code for _ in range(2)] == [200, 401]


def test_a_verify_whose_worker_is_killed_counts_one_guess(
    one_worker: Service, upstream: Upstream, database: redis.Redis, phone: str
) -> None:
    """The guess is counted. Whether it was right is unknown; the client can try again."""
    assert one_worker.send(phone).status_code == 200
    for guesses in range(1, 5):
        upstream.script.append(after(up.answer(up.RIGHT), first=kill(one_worker)))
        with pytest.raises(requests.ConnectionError):
            one_worker.verify(phone, "123456")
        assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == str(guesses)
        one_worker.wait_until_up()
        eventually(lambda: len(one_worker.workers()) == 1)
    assert [one_worker.verify(phone, "123456").status_code for _ in range(2)] == [200, 401]
    assert len(upstream.requests) == 6


def at_a_rate(service: Service, per_second: int, enough: Callable[[], object]) -> Counter[int | str]:
    """Send to this number of phones a second until it is `enough`, on kept connections and on new ones.

    Return how often there was each status.
    """

    def ask(number: int) -> Counter[int | str]:
        statuses = Counter[int | str]()
        with requests.Session() as session:
            while not enough():
                assert time.monotonic() < until, "it never is"
                begun = time.monotonic()
                body = {"phoneNumber": f"+49162{next(_numbers)}"}
                headers = {"Connection": "close" if number % 2 else "keep-alive"}
                try:
                    answer = session.post(f"{service.url}/send-otp", json=body, headers=headers, timeout=10)
                    statuses[answer.status_code] += 1
                except requests.RequestException as e:
                    statuses[repr(e)] += 1
                time.sleep(max(0.0, 10 / per_second - (time.monotonic() - begun)))
        return statuses

    until = time.monotonic() + 60
    with ThreadPoolExecutor(10) as executor:
        return sum(executor.map(ask, range(10)), Counter())


@pytest.fixture
def slow(upstream: Upstream) -> Upstream:
    """Return an Infobip that responds slowly, so that some requests are always in flight."""
    upstream.script.extend([after(up.answer(up.SENT), 0.2)] * 1000)
    return upstream


def one_sms_each(upstream: Upstream, sends: int) -> None:
    to = Counter(body["to"] for _, _, body in upstream.requests)
    assert len(to) == sends
    assert set(to.values()) == {1}


def test_a_rolling_restart_under_load_loses_no_request(
    slow: Upstream, database: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """The workers restart twice, at 50 requests a second."""
    restarted = threading.Event()
    with started(tmp_path, slow.url, redis_url) as service, ThreadPoolExecutor(1) as executor:
        load = executor.submit(at_a_rate, service, 50, restarted.is_set)
        for restarts in range(2):
            eventually(lambda: len(slow.requests) > 20 * (restarts + 1))  # noqa: B023
            before = set(service.workers())
            service.process.send_signal(signal.SIGHUP)
            eventually(lambda: len(service.workers()) == 2 and not before & set(service.workers()))  # noqa: B023
        requests_before = len(slow.requests)
        eventually(lambda: len(slow.requests) > requests_before + 20)
        restarted.set()
        statuses = load.result()
    assert set(statuses) == {200}
    one_sms_each(slow, statuses.total())


def test_workers_that_restart_after_some_requests_lose_none(
    slow: Upstream, database: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """The service leaks nothing, so max-requests is not set by default; with it, no request is lost."""
    settings = {"GUNICORN_CMD_ARGS": "--max-requests 30 --max-requests-jitter 10"}
    with started(tmp_path, slow.url, redis_url, **settings) as service:
        statuses = at_a_rate(service, 50, lambda: service.log().count("Autorestarting worker") >= 2)
    assert set(statuses) == {200}
    one_sms_each(slow, statuses.total())
