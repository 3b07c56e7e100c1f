"""The files of the metrics: they stay few however many workers end, and a full file system ends no worker."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import redis

from sandbox.free_port import free_port
from tests.support.command import eventually
from tests.support.measured import Measured
from tests.support.running import ROOT, Sandbox, Service

COUNTING = """
import os, sys
from os import fork, waitpid  # now: gevent's own would miss the end of a child that is quick
from gevent import monkey
monkey.patch_all()
from otp.telemetry import metrics_server
metrics_server.prepare()
from otp.telemetry import metrics
for number in range(int(sys.argv[1])):
    if not (pid := fork()):
        metrics_server.begin_worker()
        metrics.SENDS.labels("sms", "DE", "sent").inc(2)
        for outcome in range(number * 10, number * 10 + 10):
            metrics.SENDS.labels("sms", "DE", f"outcome-{outcome % 600}").inc()
        metrics.REDIS_SECONDS.observe(0.003)
        metrics.IN_FLIGHT.set(1)
        os._exit(0)
    assert waitpid(pid, 0)[1] == 0
    metrics_server.end_worker(pid)
print(metrics_server._response(b"GET /metrics ").decode())
print("FILES", *sorted(os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"])))
print("BYTES", sum(os.path.getsize(f"{os.environ['PROMETHEUS_MULTIPROC_DIR']}/{each}")
    for each in os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"])))
"""


@pytest.mark.parametrize("deaths", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_the_counts_of_many_workers_are_in_few_files(tmp_path: Path, deaths: int) -> None:
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", COUNTING, str(deaths)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert f'otp_sends_total{{channel="sms",country="DE",outcome="sent"}} {2.0 * deaths}' in lines
    seventh = float(len(range(7, 10 * deaths, 600)))
    assert f'otp_sends_total{{channel="sms",country="DE",outcome="outcome-7"}} {seventh}' in lines, "the file has grown"
    assert f"otp_redis_seconds_count {float(deaths)}" in lines
    assert f'otp_redis_seconds_bucket{{le="0.0025"}} {0.0}' in lines
    assert f'otp_redis_seconds_bucket{{le="0.005"}} {float(deaths)}' in lines
    assert "otp_requests_in_flight 0.0" in lines
    assert len(lines[-2].split()) == 1 + 7, "four of the one that lives, two of all that ended, and one that is locked"
    assert int(lines[-1].split()[1]) < 1024 * 1024
    assert not list(tmp_path.iterdir()), "nothing is left of it"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB in memory."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], check=False, capture_output=True
    ).returncode:
        pytest.skip("this test mounts a small file system, which needs root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path) -> None:
    with (place / "filling").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def settings(sandbox: Sandbox, redis_url: str, place: Path) -> dict[str, str]:
    given = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "TMPDIR": str(place)}
    return {**given, "METRICS_PORT": str(free_port()), "WEB_CONCURRENCY": "1"}


def replace_worker(service: Service) -> None:
    (old,) = service.workers()
    os.kill(old, signal.SIGKILL)
    eventually(lambda: service.workers() not in ([], [old]))


def test_a_file_system_that_becomes_full_ends_no_worker(
    sandbox: Sandbox, database: redis.Redis, redis_url: str, small: Path, tmp_path: Path, phone: str
) -> None:
    given = settings(sandbox, redis_url, small)
    with Service.started(tmp_path, given) as service:
        measured = Measured(service, int(given["METRICS_PORT"]))
        service.log_with(service.send(phone))
        fill(small)
        workers = service.workers()
        answers = [service.verify(f"+4479{n:08}", "000000") for n in range(200000, 200030)]
        service.log_with(*answers, service.post("/no/such/path"))
        assert service.workers() == workers
        replace_worker(service)
        replace_worker(service)
        (worker,) = service.workers()
        answer = service.verify(phone, sandbox.pin(phone))
        service.log_with(answer)
        assert answer.status_code == 200
        assert service.workers() == [worker]
        assert measured.value("otp_sends_total", outcome="sent") == 1, "what was counted before stays"
        assert "SIGBUS" not in service.log()


def test_a_start_with_a_full_file_system_has_no_metrics(
    sandbox: Sandbox, database: redis.Redis, redis_url: str, small: Path, tmp_path: Path, phone: str
) -> None:
    """TMPDIR has room for the directory of the metrics, but not for its files."""
    (small / "little").write_bytes(bytes(64 * 1024))
    fill(small)
    (small / "little").unlink()
    with Service.started(tmp_path, settings(sandbox, redis_url, small)) as service:
        eventually(lambda: service.lines(event="no_metrics", level="error"))  # a thread of the master writes it
        (line,) = service.lines(event="no_metrics", level="error")
        assert line["error"] == "No space left on device"
        replace_worker(service)
        assert service.send(phone).status_code == 200
        assert len(service.lines(event="no_metrics")) == 1
    assert [path.name for path in small.iterdir()] == ["filling"]


def test_the_next_start_removes_the_directory_of_a_killed_master(
    sandbox: Sandbox, database: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    with Service.started(tmp_path, settings(sandbox, redis_url, place)) as killed:
        left = {*place.iterdir()}
        workers = killed.workers()
        os.kill(killed.process.pid, signal.SIGKILL)
        eventually(lambda: not any(map(psutil.pid_exists, workers)), 30)
    assert {*place.iterdir()} == left
    with Service.started(tmp_path, settings(sandbox, redis_url, place)):
        there = {*place.iterdir()}
        assert len(there) == len(left)
        assert not there & left


def test_silent_connections_delay_no_scrape(
    sandbox: Sandbox, database: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    given = settings(sandbox, redis_url, tmp_path)
    with Service.started(tmp_path, given) as service, ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(socket.create_connection(("127.0.0.1", int(given["METRICS_PORT"]))))
        assert "otp_build_info" in Measured(service, int(given["METRICS_PORT"])).text()
