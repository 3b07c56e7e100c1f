"""Metrics: they are right over all workers, including ended ones, and no label has personal data or a secret."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis
import requests

from sandbox.free_port import free_port
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.measured import Measured
from tests.support.running import Sandbox, Service, other_pin
from tests.support.upstream import PIN_ID, Upstream

PRICES = '{"currency": "EUR", "default": 0.1, "US": 0.02}'
Started = Callable[..., AbstractContextManager["Measured"]]


@pytest.fixture
def measured(tmp_path: Path, redis_url: str, database: redis.Redis) -> Started:
    @contextmanager
    def started(base_url: str, **settings: str) -> Iterator[Measured]:
        port = free_port()
        given = {"INFOBIP_BASE_URL": base_url, "REDIS_URL": redis_url, "METRICS_PORT": str(port)}
        given |= {"TMPDIR": str(tmp_path)}
        with Service.started(tmp_path, {**given, **settings}) as service:
            yield Measured(service, port)
        assert not list(tmp_path.glob("otp-metrics-*")), "it leaves nothing behind"

    return started


def test_the_counts_outlive_a_killed_worker(measured: Started, sandbox: Sandbox) -> None:
    numbers = (f"+49151{n}" for n in range(60000000, 60001000))
    with measured(sandbox.url) as at:
        first, answers = at.service.workers(), []
        assert len(first) == 2

        def both_have_counted() -> bool:
            answers.append(at.service.send(next(numbers)))
            files = {path.stem.rpartition("_")[2] for path in Path(directory).glob("counter_*.db")}
            return files >= {*map(str, at.service.workers())} and len(at.service.workers()) == 2

        (directory,) = Path(at.service.directory).glob("otp-metrics-*")
        eventually(both_have_counted)
        at.service.log_with(*answers)
        before = at.value("otp_sends_total", outcome="sent")
        assert before == len(sandbox.messages)
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: first[0] not in at.service.workers() and len(at.service.workers()) == 2)
        assert at.value("otp_sends_total", outcome="sent") == before
        os.kill(first[1], signal.SIGTERM)  # it ends in order, as a recycled worker does
        eventually(lambda: not set(first) & set(at.service.workers()))
        eventually(both_have_counted)
        at.service.log_with(*answers)
        assert at.value("otp_sends_total", channel="sms", country="DE", outcome="sent") == len(sandbox.messages)
        assert at.value("otp_requests_total", route="/send-otp", status="200", code="ok") == len(sandbox.messages)
        assert at.value("otp_provider_seconds_count", operation="send") == len(sandbox.messages)
        eventually(lambda: at.value("otp_requests_in_flight") == 0)


def test_requests_in_flight_end_with_their_worker(measured: Started, upstream: Upstream, phone: str) -> None:
    taken = threading.Event()

    def hold(connection: socket.socket) -> None:
        taken.set()
        up.silence(connection)

    upstream.script.append(hold)
    with measured(upstream.url, WEB_CONCURRENCY="1") as at:

        def abandoned() -> None:
            with pytest.raises(requests.ConnectionError):
                at.service.send(phone)

        client = threading.Thread(target=abandoned)
        client.start()
        assert taken.wait(10)
        eventually(lambda: at.value("otp_requests_in_flight") == 1)
        (worker,) = at.service.workers()
        os.kill(worker, signal.SIGKILL)
        client.join()
        eventually(lambda: at.value("otp_requests_in_flight") == 0)


def test_a_file_that_a_worker_is_writing_is_read_again(measured: Started, sandbox: Sandbox) -> None:
    """A worker writes the length of an entry before the entry. The file is a pipe here: its reader waits for data."""
    with measured(sandbox.url) as at:
        (directory,) = Path(at.service.directory).glob("otp-metrics-*")
        half = directory / "counter_999999.db"
        os.mkfifo(half)

        def write() -> None:
            with half.open("wb") as file:
                half.unlink()
                file.write(b"\x40\0\0\0\0\0\0\0")

        writer = threading.Thread(target=write)
        writer.start()
        assert "otp_requests_in_flight" in at.text()
        writer.join()


def test_each_event_has_the_right_metric_and_labels(measured: Started, sandbox: Sandbox, database: redis.Redis) -> None:
    german, american = "+4915112345678", "+14155552671"
    with measured(sandbox.url, SMS_PRICES=PRICES, DAILY_BUDGET="0.12") as at:
        refused = ["+4915112345679", "+14155550101"]  # the budget is used up
        answers = [at.service.send(phone) for phone in (german, german, american, *refused)]
        database.hset("otp:guard:operator", "prefix +3161", f"block {int(time.time()) + 60}")
        database.expire("otp:guard:operator", 60)
        answers.append(at.service.send("+31612345678"))
        answers.append(at.service.verify(german, other_pin(sandbox.pin(german))))
        answers.append(at.service.verify(german, sandbox.pin(german)))
        answers.append(at.service.verify("+442071838750", "000000"))
        at.service.log_with(*answers, at.service.post("/no/such/path"))
        assert at.value("otp_sends_total", country="DE", outcome="sent") == 1
        assert at.value("otp_sends_total", country="US", outcome="sent") == 1
        assert at.value("otp_sends_total", country="DE", outcome="limited") == 2
        assert at.value("otp_refusals_total", reason="cooldown") == 1
        assert at.value("otp_refusals_total", reason="day_budget") == 2
        assert at.value("otp_refusals_total", reason="blocked_by_operator") == 1
        assert at.value("otp_sends_total", country="NL", outcome="limited") == 1
        assert at.value("otp_verifies_total", country="DE", outcome="wrong_pin") == 1
        assert at.value("otp_verifies_total", country="DE", outcome="verified") == 1
        assert at.value("otp_verifies_total", country="GB", outcome="no_pin") == 1
        assert at.value("otp_requests_total", route="other", status="404", code="not_found") == 1
        assert at.value("otp_spend_total", currency="EUR") == pytest.approx(0.12)
        assert at.value("otp_budget", period="day", currency="EUR") == pytest.approx(0.12)
        assert at.value("otp_build_info", version="0.1.0") == 1
        assert at.value("otp_redis_seconds_count") >= 8


def test_failures_are_counted_by_kind(measured: Started, upstream: Upstream, database: redis.Redis) -> None:
    numbers = iter(f"+49151{n}" for n in range(61000000, 61000010))
    upstream.script.extend([up.error(400, "BAD_REQUEST"), up.error(503, "X"), up.error(429, "X"), up.answer(b"<html>")])
    with measured(upstream.url, SMS_PRICES=PRICES, DAILY_BUDGET="1") as at:
        at.service.log_with(*[at.service.send(next(numbers)) for _ in range(4)])
        for kind in ("provider_refused", "provider_timeout", "provider_throttled", "provider_unclear"):
            assert at.value("otp_provider_errors_total", operation="send", kind=kind) == 1, kind
            assert at.value("otp_sends_total", outcome=kind) == 1, kind
        assert at.value("otp_refusals_total") == 0
        (spent,) = [database.hget(key, "spent") for key in database.scan_iter("otp:spent:*")]
        assert at.value("otp_spend_total") == pytest.approx(0.2), "what was not refused may have gone out"
        assert at.value("otp_spend_total") == pytest.approx(int(str(spent)) / 1_000_000), "as the budget counts it"


def test_redis_errors_are_counted(measured: Started, sandbox: Sandbox, phone: str) -> None:
    with measured(sandbox.url, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as at:
        at.service.log_with(at.service.send(phone))
        assert at.value("otp_redis_errors_total", kind="ConnectionError") == 1


def test_no_label_identifies_a_person(measured: Started, upstream: Upstream, phone: str) -> None:
    with measured(upstream.url) as at:
        answers = [at.service.send(phone), at.service.verify(phone, "918273"), at.service.post(f"/{phone}")]
        at.service.log_with(*answers)
        text = at.text()
    labels = set(re.findall(r"(\w+)=\"", text))
    assert labels <= set(
        [
            "route",
            "status",
            "code",
            "channel",
            "country",
            "outcome",
            "reason",
            "operation",
            "kind",
            "period",
            "currency",
        ]
    ) | {
        "type",
        "version",
        "python",
        "le",
    }
    for secret in (phone[1:], phone[1:-4], "918273", PIN_ID, answers[0].headers["X-Request-ID"]):
        assert secret not in text


def test_bad_clients_of_the_metrics_port_do_no_harm(measured: Started, sandbox: Sandbox) -> None:
    """They send nothing, or bytes that are not HTTP, or disconnect."""
    with measured(sandbox.url) as at:
        where = ("127.0.0.1", int(at.url.split(":")[2].split("/")[0]))
        with socket.create_connection(where), socket.create_connection(where) as second:
            second.sendall(b"\x16\x03\x01")
            assert second.recv(100).startswith(b"HTTP/1.1 404 ")
        assert requests.get(at.url.replace("/metrics", "/"), timeout=5).status_code == 404
        assert "otp_build_info" in at.text()
        assert requests.get(f"{at.service.url}/metrics", timeout=5).status_code == 404, "not on the public port"


def test_a_port_in_use_does_not_prevent_the_start(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis, phone: str
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "METRICS_PORT": port}
        with Service.started(tmp_path, settings) as service:
            assert service.send(phone).status_code == 200
            eventually(lambda: service.lines(event="no_metrics", error="Address already in use"))
