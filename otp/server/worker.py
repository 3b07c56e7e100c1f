"""A gevent worker with its own connections: slow clients cannot block it, and its error responses are JSON.

Its process ends only after it has responded to everything that it accepted.

When a listening socket is closed, the kernel resets all connections in its backlog, which no log shows. So the last
process that has the socket must empty the backlog before it closes the socket.
"""

import ctypes
import logging
import mmap
import os
import socket
import struct
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.wsgi import FileWrapper, base_environ
from gunicorn.workers.ggevent import GeventWorker

from otp.server.client_connection import Connection, Service
from otp.server.connections import Connections
from otp.server.heads import Environ
from otp.server.stream import FAIR_SHARE, Stream

log = logging.getLogger("otp")

_Socket = monkey.get_original("socket", "socket")
_poll = monkey.get_original("select", "poll")

HANDSHAKES = 0.2  # seconds for connections that are half open when the service stops
QUIET = 2.0  # seconds in which requests on idle connections still get a response, with "Connection: close"
LAST_WORD = 0.5  # seconds in which a worker that stops alone may learn that all stop, and must empty the backlog
AT_THE_END = 1.0  # seconds of the graceful timeout that are reserved for writing logs and metrics

# Classic BPF (linux/filter.h): drop packets with SYN in the 13th byte of the TCP header (RFC 9293, 3.1).
_LOAD_BYTE, _JUMP_IF_BITS, _RETURN, _SYN = 0x30, 0x45, 0x06, 0x02
_NO_SYN = struct.pack(
    "HBBI" * 4, _LOAD_BYTE, 0, 0, 13, _JUMP_IF_BITS, 0, 1, _SYN, _RETURN, 0, 0, 0, _RETURN, 0, 0, 0xFFFFFFFF
)
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it


def announce_end(arbiter: Any) -> None:
    """Announce to this master's workers whether the whole service stops. Call this once, before they are forked."""
    handle_term = arbiter.handle_term
    Worker.all_end = mmap.mmap(-1, 1)  # memory that they share

    def handle() -> None:
        # After SIGUSR2 another master has the same socket; with socket activation or fd://, the parent process has it.
        given = arbiter.systemd or any(isinstance(address, int) for address in arbiter.cfg.address)
        Worker.all_end[0] = not (arbiter.reexec_pid or arbiter.master_pid or given)
        handle_term()

    arbiter.handle_term = handle


class Worker(GeventWorker):  # type: ignore[misc]
    """Serves HTTP/1.1 to many clients in equal shares, and responds to everything it has accepted before it ends.

    Responses have `Connection: close` once `alive` is False.
    """

    alive: bool  # from gunicorn, which has no types
    all_end: ClassVar[mmap.mmap]  # whether the master stops, and no other process has the socket; see `announce_end`

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._woken = Event()

    def handle_exit(self, *_: Any) -> None:
        """Handle SIGTERM."""
        self.alive = False
        gevent.get_hub().loop.run_callback_threadsafe(self._woken.set)

    def notify(self) -> None:
        """Show the master that this worker lives. Without a master the worker stops gracefully."""
        self.tmp.notify()
        if self._is_last_process():  # also if SIGTERM came before `init_signals` and was lost
            self.alive = False

    def serve(self, place: Any, client: socket.socket, addr: Any) -> None:
        """Serve the connection `client`, accepted at the address `place`. The caller closes it."""
        stream = Stream(client, self._connections)
        try:
            Connection(stream, self._service, place, addr).serve()
        finally:
            stream.close()

    def count_request(self) -> None:
        """Count a request; gunicorn's setting `max_requests` may make it the last one."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def run(self) -> None:
        """Serve until the worker is stopped, then until all requests have responses."""
        # A little less than gunicorn accepts: at its own bound, new clients would wait for old ones.
        self._connections = Connections(self.worker_connections * 19 // 20)
        self._service = Service(self.wsgi, self._common_environ(), self.cfg, self.count_request, lambda: self.alive)
        gevent.spawn(self._connections.watch)
        servers = [self._start(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._woken.wait(1.0)
        until = time.monotonic() + self.cfg.graceful_timeout - AT_THE_END
        log.debug("stopping")
        for server in servers:
            server.stop_accepting()  # the socket stays open: this may be the last process that has it
        self._drain(servers, until)
        for server in servers:
            server.stop(timeout=0)

    def _common_environ(self) -> Environ:
        own = {"wsgi.multithread": True, "wsgi.url_scheme": "http", "wsgi.file_wrapper": _file_wrapper}
        return {**base_environ(self.cfg), **own}

    def _start(self, listener: socket.socket) -> Any:
        listener.setblocking(True)
        # The address is read now: a connection may start when the listener is closed already.
        serve = partial(self.serve, listener.getsockname())
        server = StreamServer(listener, handle=serve, spawn=Pool(self.worker_connections))
        if self.cfg.workers > 1:
            server.max_accept = 1  # otherwise a busy worker takes connections that another has time for
        server.start()
        return server

    def _is_last_process(self) -> bool:
        """Whether no other process accepts the connections in the backlog."""
        return bool(self.all_end[0] or self.ppid != os.getppid())

    def _drain(self, servers: list[Any], until: float) -> None:
        """Wait for responses in progress, and shortly for requests that are under way on idle connections."""
        connections, stopped, is_empty = [server.pool for server in servers], time.monotonic(), False
        while (now := time.monotonic()) < until:
            self.notify()
            if self._is_last_process() and not is_empty:
                self._empty_backlog(servers, until)
                is_empty = True
            if not any(connections) and (is_empty or now - stopped > LAST_WORD):
                break
            if now - stopped > QUIET:
                self._connections.close_idle()
            gevent.sleep(0.05)
        if left := sum(map(len, connections)):
            log.warning("stopped_too_late", extra={"connections": left})

    def _empty_backlog(self, servers: list[Any], until: float) -> None:
        """Accept until the backlog is empty, then close. New connections are dropped if the system supports it."""
        for server in servers:
            server.start_accepting()
            if self.all_end[0]:
                _drop_new_connections(server.socket)
        gevent.sleep(HANDSHAKES)
        while _has_pending(self.sockets) and time.monotonic() < until:
            self.notify()
            gevent.sleep(0.01)
        for server in servers:
            server.close()


def _drop_new_connections(listener: socket.socket) -> None:
    """Drop packets that open connections. Clients repeat them after a second, when the closed socket refuses them.

    Without this, about one in a hundred stops under load lost a connection between the last accept and the close.
    """
    program = ctypes.create_string_buffer(_NO_SYN)
    if sys.platform == "linux":
        with suppress(OSError):  # some containers do not support filters
            filters = struct.pack("HL", 4, ctypes.addressof(program))
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filters)


def _has_pending(listeners: list[socket.socket]) -> bool:
    poll = _poll()
    for listener in listeners:
        poll.register(listener.fileno(), 1)  # POLLIN
    return bool(poll.poll(0))


def _file_wrapper(file: Any, _: int = 0) -> FileWrapper:
    """The `wsgi.file_wrapper` of PEP 3333, with large pieces: Werkzeug's 8 KiB need eight times the system calls."""
    return FileWrapper(file, FAIR_SHARE)
