"""Runs what `make run` starts."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
import requests

from sandbox.free_port import free_port
from tests.support.running import ROOT


@contextmanager
def make_run(tmp_path: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m sandbox`, as `make run` does, in a directory without a `.env`."""
    inherited = {k: v for k, v in os.environ.items() if k.startswith(("PATH", "COVERAGE", "HOME"))}
    (tmp_path / "tmp").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox"],
        cwd=tmp_path,
        env={**inherited, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    with process.stdout:
        yield process
        process.kill()
        process.wait()


def until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C ends everything" in line:
            return said
    raise AssertionError(said)


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@dataclass
class MakeRun:
    """A running `make run` with its own ports."""

    port: int
    inbox_port: int
    metrics_port: int
    said: str = ""  # what it printed at the start

    @classmethod
    @contextmanager
    def started(cls, tmp_path: Path, **environment: str) -> Iterator["MakeRun"]:
        run = cls(free_port(), free_port(), free_port())
        ports = {"PORT": str(run.port), "SANDBOX_PORT": str(run.inbox_port)}
        ports["METRICS_PORT"] = str(run.metrics_port)
        with make_run(tmp_path, **ports, **environment) as process:
            run.said = until_ready(process)
            yield run
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0

    def with_own_ports(self, text: str) -> str:
        """Replace the ports of `make run` in `text` by the ports of this one."""
        text = re.sub(r"//localhost:3000\b", f"//localhost:{self.port}", text)
        text = re.sub(r"//localhost:9090\b", f"//localhost:{self.metrics_port}", text)
        return re.sub(r"//(localhost|127\.0\.0\.1):3001\b", rf"//\1:{self.inbox_port}", text)

    def forget(self) -> None:
        """Empty its Redis: no cooldown, no PIN, no count is left."""
        (url,) = re.findall(r"redis://\S+", self.said)
        with redis.Redis.from_url(url) as database:
            database.flushall()

    def pins(self, phone: str) -> list[str]:
        """Return the PINs that arrived, newest first."""
        answer = requests.get(f"http://127.0.0.1:{self.inbox_port}/inbox", {"to": phone}, timeout=5)
        return [message["pin"] for message in answer.json()["messages"]]

    def pin(self, phone: str) -> str:
        """Return the newest PIN."""
        return self.pins(phone)[0]
