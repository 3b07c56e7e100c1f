"""Starts Python programs quickly: a process that has loaded the packages forks a child for each program.

The child is what `python -m` makes: it has an environment, a directory and outputs of its own. Packages that read the
environment while they load are loaded in the child: gunicorn, and prometheus_client if metrics are on.

There are two such processes. One has loaded the service too, which saves half of a start. The other is for services
with metrics, for other versions of the service, and for coverage, which is measured from before the code is loaded.
"""

import atexit
import functools
import gc
import importlib
import json
import mmap
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from os import close, fork, waitpid  # now: gevent's own want its event loop
from pathlib import Path
from typing import Any

PACKAGES = """cryptography.hazmat.primitives.serialization dotenv email_validator flask flask_cors flask_limiter
flask_swagger_ui gevent.pool gevent.pywsgi hiredis http.server httptools jwt langcodes limits phonenumbers
pydantic.root_model redis.cluster requests structlog wsgiref.simple_server yaml"""
READ_AT_THE_START = ("LD_", "OTEL_", "PYTHON")  # by Python itself, and by what is loaded here


class Forked:
    """A process that the fork server has forked; used as a `subprocess.Popen`."""

    def __init__(self, server: "ForkServer", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None:
                self.returncode = self._server.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkServer:
    """Starts the fork server and asks it. The server ends with the process that made it, and then ends its children."""

    def __init__(self, *more: str) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.support.forkserver", str(theirs.fileno()), *more]
        unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        root, files = Path(__file__).parents[2], [theirs.fileno()]
        with theirs:
            self._process = subprocess.Popen(
                command, cwd=root, env=unmeasured, pass_fds=files, stdin=subprocess.DEVNULL
            )
        atexit.register(self._end)

    def start(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], outputs: Sequence[int]) -> Forked:
        """Run `python -m` with these arguments; `outputs` are stdout and stderr."""
        asked = {"arguments": arguments, "cwd": str(cwd), "env": dict(env)}
        return Forked(self, self.ask(asked, outputs))

    def ask(self, question: Any, files: Sequence[int] = ()) -> Any:
        with self._lock:
            socket.send_fds(self._control, [json.dumps(question).encode() + b"\n"], files)
            answer = self._control.recv(100)
        assert answer, "the fork server has ended"
        return json.loads(answer)

    def _end(self) -> None:
        self._control.close()
        self._process.wait()


fork_server = functools.cache(ForkServer)


def _load(more: Sequence[str]) -> None:
    import gevent.monkey  # noqa: PLC0415  the tests themselves are not patched

    gevent.monkey.patch_all()
    for name in (*PACKAGES.split(), *more):
        importlib.import_module(name)
    gc.freeze()


def _questions(control: socket.socket) -> Iterator[tuple[Any, list[int]]]:
    while True:
        asked, files, *_ = socket.recv_fds(control, 1 << 16, 2)
        while asked and not asked.endswith(b"\n"):
            asked += control.recv(1 << 16)
        if not asked:
            return
        yield json.loads(asked), files


def _ended(pid: int) -> int | None:
    ended, status = waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _unshare() -> None:
    """Memory that a service shares with its workers must not be shared with other services."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "otp"]:
        for name, value in [*vars(module).items()]:
            if isinstance(value, mmap.mmap):
                setattr(module, name, mmap.mmap(-1, len(value)))


def _become(question: Any, files: list[int]) -> None:
    importlib.import_module("gevent").reinit()  # urllib3 tries a socket when it is loaded: there is an event loop
    os.chdir(question["cwd"])
    os.environ.clear()
    os.environ.update(question["env"])
    for there, file in enumerate(files, 1):
        os.dup2(file, there)
        close(file)
    _unshare()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0], sys.argv = question["cwd"], question["arguments"]
    if os.environ.get("COVERAGE_PROCESS_CONFIG"):
        importlib.import_module("coverage").process_startup()


def _serve(control: socket.socket) -> None:
    """Answer until the tests close the connection, then end the children. Returns in each child, at once."""
    running: set[int] = set()
    for question, files in _questions(control):
        if "ended" in question:
            answer = _ended(question["ended"])
            running -= {question["ended"]} if answer is not None else set()
        elif answer := fork():
            running.add(answer)
        else:
            control.close()
            return _become(question, files)
        for file in files:
            close(file)
        control.sendall(json.dumps(answer).encode())
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    sys.exit()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that made this one ends it
    _load(sys.argv[2:])
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
