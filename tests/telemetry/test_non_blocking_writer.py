"""Log lines that nobody reads are dropped and counted, and delay no request."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import redis

from otp.telemetry.non_blocking_writer import NonBlockingWriter
from tests.support.running import ROOT, Sandbox, Service


def test_lines_that_nobody_reads_delay_no_request(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis, phone: str
) -> None:
    """A pipe of one page is full after a few requests."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}
    with os.fdopen(reader, "rb") as pipe:
        with Service.started(tmp_path, settings, stderr=writer) as service:
            answers = [service.verify(phone, "000000") for _ in range(100)]
            assert {answer.status_code for answer in answers} == {401}
            service.process.terminate()
            service.process.wait(30)
        os.close(writer)
        assert len(pipe.read()) <= 4096


def test_a_full_pipe_drops_lines_and_reports_how_many() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    sink = NonBlockingWriter(writer, str, "{} dropped".format, most_waiting=100)
    line = "x" * 99
    taken = [sink.write(line) for _ in range(1000)]
    assert False in taken
    with os.fdopen(reader, "rb") as pipe:
        read = [pipe.readline().decode().strip() for _ in range(taken.count(True) + 1)]
        sink.write("after")
        read.append(pipe.readline().decode().strip())
        sink.finish()
        os.close(writer)
        assert pipe.read() == b""
    assert read.count(line) == taken.count(True)
    assert f"{taken.count(False)} dropped" in read
    assert read[-1] == "after"


def test_a_closed_pipe_loses_lines_and_raises_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = NonBlockingWriter(writer, str, "{} dropped".format)
    assert sink.write("to nobody")
    sink.finish()
    os.close(writer)


def test_a_fork_has_a_thread_of_its_own() -> None:
    reader, writer = os.pipe()
    sink = NonBlockingWriter(writer, str, "{} dropped".format)
    sink.write("of the parent")
    if (child := os.fork()) == 0:
        sink.write("of the child")
        sink.finish()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sink.finish()
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert sorted(pipe.read().decode().splitlines()) == ["of the child", "of the parent"]


def test_a_line_that_cannot_be_formatted_is_reported() -> None:
    code = (
        "import logging; from otp.telemetry import logs\n"
        "logs.configure('json', 'INFO')\n"
        "logging.getLogger('otp').error('%d', 'not a number')"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stderr) == {"event": "log_line_failed", "error": "TypeError"}
