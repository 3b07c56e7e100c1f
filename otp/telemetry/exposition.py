"""Serves the metrics of all workers, those that ended too, on a port of its own, from gunicorn's master.

By a real thread and plain sockets: a greenlet of the master would live on in each worker that it forks.
"""

import fcntl
import logging
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gevent import monkey

from otp import shutdown

if TYPE_CHECKING:
    from otp.telemetry.metric_files import MetricFiles

log = logging.getLogger("otp.metrics")

_Socket = monkey.get_original("socket", "socket")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_new_lock = monkey.get_original("_thread", "allocate_lock")
_sleep = monkey.get_original("time", "sleep")

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
PREFIX, ALIVE = "otp-metrics-", "alive"  # of a folder, and of the file in it that is locked
PATIENCE = 2.0  # seconds for a client to ask, and to take the answer
AGAIN = 1.0  # seconds until a port that is taken is tried again: after SIGUSR2 the old master has it for a while

_files: "MetricFiles | None" = None
_no_room: OSError | None = None
_places: Any = monkey.get_original("queue", "SimpleQueue")()  # one for each client that is answered at a time
for _place in range(32):
    _places.put(_place)
_looking = _new_lock()  # nobody looks while what an ended worker has counted is in no file, or in two


def prepare() -> None:
    """Have every process count into files. Call it before `telemetry.metrics` is loaded, which makes what counts.

    Where there is no room for them, each process counts for itself, and `serve` says that nobody is shown it.
    """
    global _files, _no_room  # noqa: PLW0603  one in a process; the configuration may be read again
    if _files or _no_room:
        return
    os.environ.pop(DIRECTORY, None)  # it may be that of a gunicorn which this one replaces
    try:
        _remove_those_of_the_dead()
        made = _folder_that_is_alive()
        shutdown.add(shutdown.Step.REMOVE_METRIC_FILES, partial(_remove, made, os.getpid()))
        _files = _count_into(made)
    except OSError as e:
        _no_room = e


def serve(bind: str, port: int) -> None:
    """Answer `GET /metrics` on this IP address and port from now on.

    Where they are taken, say so: there is no answer until they are free.
    """
    if _no_room:
        log.error("no_metrics", extra={"error": _no_room.strerror})
        return
    try:
        _start_thread(_serve, (_listen(bind, port),))
    except OSError as e:
        log.error("no_metrics", extra={"port": port, "error": e.strerror})
        _start_thread(_serve_later, (bind, port))


def begin() -> None:
    """Count into files of this new worker's own."""
    if _files:
        _files.allocate_or_count_nothing()


def forget(pid: int) -> None:
    """A worker has ended: what it had in flight is gone, and what it counted stays."""
    if _files:
        with _looking:
            _files.bury(pid)


def _folder_that_is_alive() -> str:
    """Has a file that is locked as long as a process of this service lives; it gets its name when that is so."""
    made = tempfile.mkdtemp(prefix="otp-new-")
    fcntl.flock(os.open(f"{made}/{ALIVE}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC), fcntl.LOCK_EX)
    return str(Path(made).rename(made.replace("otp-new-", PREFIX)))


def _remove_those_of_the_dead() -> None:
    """A master that was killed leaves its folder, and in memory such folders fill up what there is."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / ALIVE).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _count_into(directory: str) -> "MetricFiles":
    from prometheus_client import values  # noqa: PLC0415  it is loaded with `DIRECTORY` unset

    from otp.telemetry.metric_files import MetricFiles, Value  # noqa: PLC0415  this too loads it

    files = MetricFiles(directory)
    files.allocate()
    os.environ[DIRECTORY] = directory
    Value.files, values.ValueClass = files, Value
    return files


def _listen(bind: str, port: int) -> Any:
    is_ipv6 = ":" in bind
    listener = _Socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if is_ipv6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # :: takes IPv4 too
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bind, port))
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    return listener


def _serve_later(bind: str, port: int) -> None:
    while True:
        _sleep(AGAIN)
        with suppress(OSError):
            _serve(_listen(bind, port))


def _serve(listener: Any) -> None:
    while True:
        try:
            accepted, _ = listener._accept()  # accept() would make a socket of gevent's
            connection = _Socket(fileno=accepted)
        except OSError:
            _sleep(0.01)
            continue
        _start_thread(_serve_one, (connection, _places.get()))


def _serve_one(connection: Any, place: int) -> None:
    """In a thread of its own: who connects and asks nothing holds up nobody else."""
    try:
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE)
            connection.sendall(_answer(connection.recv(4096)))
    except Exception as e:  # a worker was writing: the next look will be right
        log.warning("metrics_not_read", extra={"error": type(e).__name__})
    finally:
        _places.put(place)


def _answer(asked: bytes) -> bytes:
    if not asked.startswith((b"GET /metrics ", b"GET /metrics?")):
        return b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    with _looking:
        text = generate_latest(registry)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def _remove(directory: str, of: int) -> None:
    if os.getpid() == of:
        shutil.rmtree(directory, ignore_errors=True)
