"""How a worker ends: everything that was accepted is answered, and only then the process ends.

A listening socket is closed with all connections that wait in its backlog: the kernel resets them, and nobody has
logged them. So the last process that has the socket must empty the backlog before it closes it.
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
from typing import Any

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

log = logging.getLogger("otp")

_Socket = monkey.get_original("socket", "socket")
_poll = monkey.get_original("select", "poll")

HANDSHAKES = 0.2  # seconds for the connections that are half open when the service stops
QUIET = 2.0  # seconds in which an idle connection may still ask something: it is answered, with "Connection: close"
LAST_WORD = 0.5  # seconds in which a worker that stops alone may hear that all stops, and empties the backlog
AT_THE_END = 1.0  # seconds of the graceful timeout that are left to write what is logged and counted

# Classic BPF (linux/filter.h): of the 13th byte of a TCP header (RFC 9293, 3.1), drop what has SYN, take all else.
_LOAD_BYTE, _JUMP_IF_BITS, _RETURN, _SYN = 0x30, 0x45, 0x06, 0x02
_NO_SYN = struct.pack(
    "HBBI" * 4, _LOAD_BYTE, 0, 0, 13, _JUMP_IF_BITS, 0, 1, _SYN, _RETURN, 0, 0, 0, _RETURN, 0, 0, 0xFFFFFFFF
)
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it

_ending = mmap.mmap(-1, 1)  # shared with the workers: whether the master stops, and the socket is nobody else's


def announce_end(arbiter: Any) -> None:
    """Have the workers of this master know whether they stop because all stops. Call it in the master, once."""
    handle_term = arbiter.handle_term

    def handle() -> None:
        # After SIGUSR2 another master has the same socket; with socket activation, or fd://, who started us has it.
        given = arbiter.systemd or any(isinstance(address, int) for address in arbiter.cfg.address)
        _ending[0] = not (arbiter.reexec_pid or arbiter.master_pid or given)
        handle_term()

    arbiter.handle_term = handle


class DrainingWorker(GeventWorker):  # type: ignore[misc]
    """gunicorn's gevent worker, which answers all that it has accepted before it ends.

    A subclass serves the connections, and has answers say `Connection: close` once `alive` is False.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._woken = Event()

    def handle_exit(self, *_: Any) -> None:
        """SIGTERM."""
        self.alive = False
        gevent.get_hub().loop.run_callback_threadsafe(self._woken.set)

    def notify(self) -> None:
        """Tell the master that this worker lives. Without a master there is nothing to work for: it ends in order."""
        self.tmp.notify()
        if self._is_last():  # also where SIGTERM came before `init_signals`, and is lost
            self.alive = False

    def serve(self, place: Any, client: socket.socket, addr: Any) -> None:
        """Serve the connection `client`, accepted at `place`, which the caller closes."""
        raise NotImplementedError

    def let_idle_go(self) -> None:
        """Have the idle connections end, each after what has arrived on it."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve until the worker is to stop, then until nothing is left to answer."""
        servers = [self._start(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._woken.wait(1.0)
        until = time.monotonic() + self.cfg.graceful_timeout - AT_THE_END
        log.debug("stopping")
        for server in servers:
            server.stop_accepting()  # the socket stays open: this may become the last process that has it
        self._let_end(servers, until)
        for server in servers:
            server.stop(timeout=0)

    def _orphaned(self) -> bool:
        return bool(self.ppid != os.getppid())

    def _start(self, listener: socket.socket) -> Any:
        listener.setblocking(True)
        # The place is asked for now: a connection may begin when the listener is closed already.
        serve = partial(self.serve, listener.getsockname())
        server = StreamServer(listener, handle=serve, spawn=Pool(self.worker_connections))
        if self.cfg.workers > 1:
            server.max_accept = 1  # else one worker takes what the other has time for
        server.start()
        return server

    def _is_last(self) -> bool:
        """Whether nobody takes over what waits in the backlog."""
        return bool(_ending[0] or self._orphaned())

    def _let_end(self, servers: list[Any], until: float) -> None:
        """Wait for the answers in progress, and a little for questions on idle connections that are on their way."""
        connections, stopped, is_empty = [server.pool for server in servers], time.monotonic(), False
        while (now := time.monotonic()) < until:
            self.notify()
            if self._is_last() and not is_empty:
                self._empty_backlog(servers, until)
                is_empty = True
            if not any(connections) and (is_empty or now - stopped > LAST_WORD):
                break
            if now - stopped > QUIET:
                self.let_idle_go()
            gevent.sleep(0.05)
        if left := sum(map(len, connections)):
            log.warning("stopped_too_late", extra={"connections": left})

    def _empty_backlog(self, servers: list[Any], until: float) -> None:
        """Accept until nobody waits any more, and close. New connections are not let in, where that is possible."""
        for server in servers:
            server.start_accepting()
            if _ending[0]:
                _let_nobody_in(server.socket)
        gevent.sleep(HANDSHAKES)
        while _somebody_waits(self.sockets) and time.monotonic() < until:
            self.notify()
            gevent.sleep(0.01)
        for server in servers:
            server.close()


def _let_nobody_in(listener: socket.socket) -> None:
    """Drop what would open a connection. It is sent again after a second, and then refused: the socket is closed.

    Between the last accept and a bare close, a connection came in about once in a hundred stops under load.
    """
    program = ctypes.create_string_buffer(_NO_SYN)
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox that knows no filters: there it is a bare close
            filters = struct.pack("HL", 4, ctypes.addressof(program))
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filters)


def _somebody_waits(listeners: list[socket.socket]) -> bool:
    poll = _poll()
    for listener in listeners:
        poll.register(listener.fileno(), 1)  # POLLIN
    return bool(poll.poll(0))
