"""Idle connections to one host, kept for the next calls."""

import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable

from gevent import Timeout

from otp.http_client.connection import Connection, remaining
from otp.http_client.proxy import Proxy

MAX_IDLE = 20.0  # seconds; load balancers drop a connection after 35 or more, some of them silently


def open_connection(
    host: str, port: int, context: ssl.SSLContext | None, proxy: Proxy | None, deadline: float
) -> Connection:
    """Resolve the host and connect: over TLS if there is a `context`, through the `proxy` if there is one.

    Raises:
        OSError, Timeout: it failed, or took longer than the `deadline` allows. No request was sent.
    """
    address = proxy.address if proxy else (host, port)
    with Timeout(remaining(deadline)):  # the sockets' own timeouts bound neither a DNS lookup nor a slow handshake
        connected = socket.create_connection(address, remaining(deadline))
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if proxy:
                proxy.connect(connected, host, port, deadline)
            if context:
                connected = context.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
            connected.settimeout(remaining(deadline))
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
        except BaseException:
            connected.close()
            raise
    return Connection(connected)


class ConnectionPool:
    """Keeps up to `size` idle connections, for one thread. The newest is taken first, so that surplus ones expire.

    The pool does not limit how many connections are in use. It closes those that it keeps when it is garbage-collected.
    """

    def __init__(self, opener: Callable[[float], Connection], size: int) -> None:
        self._open = opener
        self._kept: deque[Connection] = deque(maxlen=size)
        weakref.finalize(self, _close_all, self._kept)

    def take(self, deadline: float) -> Connection:
        """An idle connection on which nothing has arrived since its last response, or a new one.

        Raises:
            OSError, Timeout: see `open_connection`.
        """
        while self._kept:
            connection = self._kept.pop()
            if not _is_old(connection) and connection.is_quiet():
                return connection
            connection.close()
        return self._open(deadline)

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next call. Its last exchange must be complete."""
        while self._kept and (len(self._kept) == self._kept.maxlen or _is_old(self._kept[0])):
            self._kept.popleft().close()
        self._kept.append(connection)


def _close_all(kept: deque[Connection]) -> None:
    while kept:
        kept.pop().close()


def _is_old(connection: Connection) -> bool:
    return connection.used_at < time.monotonic() - MAX_IDLE
