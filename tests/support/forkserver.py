"""Starts Python programs quickly: a process that has loaded the packages forks a child for each program.

The child is like one of `python -m`: it has an environment, a directory and outputs of its own. Packages that read the
environment while they load are loaded in the child: gunicorn, and prometheus_client if metrics are on.

There are two such processes. One has loaded the service too, which saves half of a start. The other is for services
with metrics, for other versions of the service, and for coverage, which is measured from before the code is loaded.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from os import close, fork, waitpid  # now, because gevent's versions need its event loop
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).parents[2]
PACKAGES = """cryptography.hazmat.primitives.serialization dotenv email_validator flask.cli flask_cors flask_limiter
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

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedCommand(Forked):
    """A forked process that reads `stdin` and writes all its output to `stdout`."""

    def __init__(self, server: "ForkServer", pid: int, stdin: IO[str], stdout: IO[str]) -> None:
        super().__init__(server, pid)
        self.stdin, self.stdout = stdin, stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.wait(60)

    def communicate(self, typed: str = "", timeout: float = 60) -> tuple[str, None]:
        """Type the text, and return the output. A command that takes longer than `timeout` seconds is killed."""
        with suppress(BrokenPipeError):
            self.stdin.write(typed)
            self.stdin.close()
        killer = threading.Timer(timeout, self.kill)
        killer.start()
        said = self.stdout.read()
        killer.cancel()
        self.wait(60)
        return said, None


class ForkServer:
    """Starts the fork server and sends requests to it. The server ends with this process and ends its children."""

    def __init__(self, *more: str) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.support.forkserver", str(theirs.fileno()), *more]
        unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        with theirs:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=unmeasured, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        atexit.register(self._end)

    def start(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], outputs: Sequence[int]) -> Forked:
        """Run `python -m` with these arguments; `outputs` are stdout and stderr."""
        return Forked(self, self._fork(arguments, cwd, env, outputs))

    def start_command(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> ForkedCommand:
        """Run `python -m` with these arguments, and with pipes for its input and output."""
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        pid = self._fork(arguments, cwd, env, [theirs_out, theirs_out, theirs_in])
        close(theirs_in)
        close(theirs_out)
        return ForkedCommand(self, pid, os.fdopen(ours_out, "w"), os.fdopen(ours_in))

    def _fork(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], files: Sequence[int]) -> int:
        """Fork a child and return its pid. `files` are stdout, stderr and, if the child reads it, stdin."""
        return int(self.ask({"arguments": arguments, "cwd": str(cwd), "env": dict(env)}, files))

    def ask(self, question: Any, files: Sequence[int] = ()) -> Any:
        with self._lock:
            socket.send_fds(self._control, [json.dumps(question).encode() + b"\n"], files)
            answer = self._control.recv(100)
        assert answer, "the fork server has ended"
        return json.loads(answer)

    def _end(self) -> None:
        self._control.close()
        self._process.wait()


_fork_server = functools.cache(ForkServer)


def fork_server(env: Mapping[str, str], source: Path = ROOT) -> ForkServer:
    """Return the fork server for a program with this environment, whose code is in `source`."""
    is_plain = source == ROOT and env.get("METRICS_PORT", "0") == "0" and "COVERAGE_PROCESS_CONFIG" not in env
    return _fork_server(*(["app"] if is_plain else []))


def _load(more: Sequence[str]) -> None:
    import gevent.monkey  # noqa: PLC0415  the tests themselves are not patched

    gevent.monkey.patch_all()
    for name in (*PACKAGES.split(), *more):
        importlib.import_module(name)
    gc.freeze()


def _questions(control: socket.socket) -> Iterator[tuple[Any, list[int]]]:
    while True:
        asked, files, *_ = socket.recv_fds(control, 1 << 16, 3)
        while asked and not asked.endswith(b"\n"):
            asked += control.recv(1 << 16)
        if not asked:
            return
        yield json.loads(asked), files


def _ended(pid: int) -> int | None:
    ended, status = waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(question: Any, files: list[int]) -> None:
    importlib.import_module("gevent").reinit()  # urllib3 tries a socket when it is loaded, so there is an event loop
    os.chdir(question["cwd"])
    os.environ.clear()
    os.environ.update(question["env"])
    for there, file in zip((1, 2, 0), files, strict=False):
        os.dup2(file, there)
        close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv, sys.path[0] = question["arguments"], question["cwd"]
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if os.environ.get("COVERAGE_PROCESS_CONFIG"):
        importlib.import_module("coverage").process_startup()


def _serve(control: socket.socket) -> None:
    """Respond until the tests close the connection, then end the children. Return in each child at once."""
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


def _run() -> None:
    """Run the program, and end it without taking the interpreter apart: in each process of a service that costs 40 ms,
    most of it for copies of the memory that it shares with this one. Services that are started cold do all of it.
    """
    code = 1
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else int(e.code is not None)
        if e.code is not None and not isinstance(e.code, int):
            sys.stderr.write(f"{e.code}\n")
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
        atexit._run_exitfuncs()
        try:
            if sys.stdout:
                sys.stdout.flush()
        except (OSError, ValueError):
            code = code or 120  # as Python does
        os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that made this one ends it
    _load(sys.argv[2:])
    _serve(socket.socket(fileno=int(sys.argv[1])))
    _run()
