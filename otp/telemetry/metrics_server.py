"""Serves the metrics of all workers, ended ones too, on a port of its own, from gunicorn's master.

It uses real threads and plain sockets: a greenlet of the master would live on in each worker that it forks.
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
PREFIX, LOCK = "otp-metrics-", "alive"  # the folder's name begins so; the file in it that is locked
CLIENT_TIMEOUT = 2.0  # seconds for a client to send its request, and to take the response
READS, READ_PAUSE = 5, 0.01  # how often the files are read where a worker was writing, and the seconds in between
RETRY_PAUSE = 1.0  # seconds until a port that is in use is tried again: after SIGUSR2 the old master has it for a while

_files: "MetricFiles | None" = None
_failure: OSError | None = None
_slots: Any = monkey.get_original("queue", "SimpleQueue")()  # one for each client that is served at a time
for _slot in range(32):
    _slots.put(_slot)
_reading = _new_lock()  # held while the files are read, and while an ended worker's counts are moved


def prepare() -> None:
    """Make every process count into files. Call it before `telemetry.metrics` is imported, which makes the counters.

    If the disk is full, each process counts in its memory, and `serve` logs that there are no metrics.
    """
    global _files, _failure  # noqa: PLW0603  one in a process; the configuration may be read again
    if _files or _failure:
        return
    os.environ.pop(DIRECTORY, None)  # it may be the folder of a gunicorn that this one replaces
    try:
        _remove_stale_folders()
        directory = _make_locked_folder()
        shutdown.add(shutdown.Step.REMOVE_METRIC_FILES, partial(_remove, directory, os.getpid()))
        _files = _count_into_files(directory)
    except OSError as e:
        _failure = e


def serve(bind: str, port: int) -> None:
    """Serve `GET /metrics` at this IP address and port from now on.

    If the port is in use, that is logged, and it is tried until it is free.
    """
    if _failure:
        log.error("no_metrics", extra={"error": _failure.strerror})
        return
    try:
        _start_thread(_serve, (_listen(bind, port),))
    except OSError as e:
        log.error("no_metrics", extra={"port": port, "error": e.strerror})
        _start_thread(_serve_later, (bind, port))


def begin_worker() -> None:
    """Count into this new worker's own files."""
    if _files:
        _files.allocate_or_count_nothing()


def end_worker(pid: int) -> None:
    """A worker has ended: keep its counters, and drop its gauges."""
    if _files:
        with _reading:
            _files.merge_ended(pid)


def _make_locked_folder() -> str:
    """Make a folder whose lock file is locked as long as a process of this service lives; it is named after that."""
    made = tempfile.mkdtemp(prefix="otp-new-")
    fcntl.flock(os.open(f"{made}/{LOCK}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC), fcntl.LOCK_EX)
    return str(Path(made).rename(made.replace("otp-new-", PREFIX)))


def _remove_stale_folders() -> None:
    """Remove the folders of masters that were killed: where TMPDIR is in memory, they would fill it up."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _count_into_files(directory: str) -> "MetricFiles":
    from prometheus_client import values  # noqa: PLC0415  it must be imported while `DIRECTORY` is unset

    from otp.telemetry.metric_files import MetricFiles, Value  # noqa: PLC0415  it imports that, too

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
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # :: serves IPv4, too
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bind, port))
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    return listener


def _serve_later(bind: str, port: int) -> None:
    while True:
        _sleep(RETRY_PAUSE)
        with suppress(OSError):
            _serve(_listen(bind, port))


def _serve(listener: Any) -> None:
    while True:
        try:
            accepted, _ = listener._accept()  # accept() would make a gevent socket
            connection = _Socket(fileno=accepted)
        except OSError:
            _sleep(0.01)
            continue
        _start_thread(_serve_one, (connection, _slots.get()))


def _serve_one(connection: Any, slot: int) -> None:
    """Serve in a thread of its own: a client that sends nothing must not hold up others."""
    try:
        with connection, suppress(OSError):
            connection.settimeout(CLIENT_TIMEOUT)
            connection.sendall(_response(connection.recv(4096)))
    except Exception as e:
        log.warning("metrics_not_read", extra={"error": type(e).__name__})
    finally:
        _slots.put(slot)


def _response(request: bytes) -> bytes:
    if not request.startswith((b"GET /metrics ", b"GET /metrics?")):
        return b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415

    text = _metrics()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def _metrics() -> bytes:
    """All counts. A worker that adds an entry makes its file unreadable for an instant: then it is read again."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    for _ in range(READS - 1):
        with suppress(Exception), _reading:
            return generate_latest(registry)
        _sleep(READ_PAUSE)
    with _reading:
        return generate_latest(registry)


def _remove(directory: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
