"""Serves the metrics of all workers, those that ended too, on a port of its own, from gunicorn's master.

By a real thread and plain sockets: a greenlet of the master would live on in each worker that it forks.
"""

import atexit
import logging
import os
import shutil
import socket
import tempfile
from typing import Any

from gevent import monkey

log = logging.getLogger("otp.metrics")

_Socket = monkey.get_original("socket", "socket")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
PATIENCE = 2.0  # seconds for a client to ask, and to take the answer
_made = ""  # not what the environment says: that may be of a gunicorn which this one replaces


def prepare() -> None:
    """Have every process count into files. Call it before `prometheus_client` is loaded, for it decides then."""
    global _made  # noqa: PLW0603  one in a process; the configuration may be read again
    if not _made:
        _made = os.environ[DIRECTORY] = tempfile.mkdtemp(prefix="otp-metrics-")
        atexit.register(_remove, _made, os.getpid())


def serve(port: int) -> None:
    """Answer `GET /metrics` on `port` from now on. Where it is taken, say so: the service does without."""
    try:
        listener = _Socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", port))
        listener.listen(16)
    except OSError as e:
        log.error("no_metrics", extra={"port": port, "error": e.strerror})
        return
    _start_thread(_serve, (listener,))


def forget(pid: int) -> None:
    """A worker has ended: what it had in flight is gone, and what it counted stays."""
    from prometheus_client import multiprocess  # noqa: PLC0415  see `prepare`

    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _serve(listener: Any) -> None:
    while True:
        try:
            accepted, _ = listener._accept()  # accept() would make a socket of gevent's
            with _Socket(fileno=accepted) as connection:
                connection.settimeout(PATIENCE)
                connection.sendall(_answer(connection.recv(4096)))
        except Exception:  # who asks went away; or a worker was writing: the next look will be right
            _sleep(0.01)


def _answer(asked: bytes) -> bytes:
    if not asked.startswith((b"GET /metrics ", b"GET /metrics?")):
        return b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text = generate_latest(registry)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def _remove(directory: str, of: int) -> None:
    if os.getpid() == of:
        shutil.rmtree(directory, ignore_errors=True)
