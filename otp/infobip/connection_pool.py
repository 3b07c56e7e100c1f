"""The connections to one host that are kept between two calls."""

import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable

from gevent import Timeout

from otp.infobip.connection import Connection, remaining
from otp.infobip.proxy import Proxy

MAX_IDLE = 20.0  # seconds; a load balancer forgets a connection after 35 or more, and some tell nobody


class Opener:
    """Opens connections to one host, over TLS with a `context`, and through a `proxy` if there is one."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, proxy: Proxy | None = None) -> None:
        self._host, self._port = host, port
        self._context = context
        self._proxy = proxy

    def __call__(self, deadline: float) -> Connection:
        """Look the host up, connect and shake hands.

        Raises:
            OSError, Timeout: it did not work, or not until the `deadline`. Nothing was asked.
        """
        address = self._proxy.address if self._proxy else (self._host, self._port)
        with Timeout(remaining(deadline)):  # alone it bounds a look-up, or a handshake that drips
            connected = socket.create_connection(address, remaining(deadline))
            try:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._proxy:
                    self._proxy.connect(connected, self._host, self._port, deadline)
                connected = self._wrapped(connected)
                connected.settimeout(remaining(deadline))
                if isinstance(connected, ssl.SSLSocket):
                    connected.do_handshake()
            except BaseException:
                connected.close()
                raise
        return Connection(connected)

    def _wrapped(self, connected: socket.socket) -> socket.socket:
        if self._context is None:
            return connected
        return self._context.wrap_socket(connected, server_hostname=self._host, do_handshake_on_connect=False)


class ConnectionPool:
    """Keeps up to `size` connections, for one thread. The newest is taken first, so that those beyond need grow old.

    How many are open at once is up to the callers.
    """

    def __init__(self, opener: Callable[[float], Connection], size: int) -> None:
        self._open = opener
        self._kept: deque[Connection] = deque(maxlen=size)
        self._end = weakref.finalize(self, _end_all, self._kept)

    def take(self, deadline: float) -> Connection:
        """A connection on which nothing has come since its last response; a new one where none is kept.

        Raises:
            OSError, Timeout: see `Opener`.
        """
        while self._kept:
            connection = self._kept.pop()
            if not _is_old(connection) and connection.is_quiet():
                return connection
            connection.close()
        return self._open(deadline)

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next call. It must have ended its exchange well."""
        while self._kept and (len(self._kept) == self._kept.maxlen or _is_old(self._kept[0])):
            self._kept.popleft().close()
        self._kept.append(connection)

    def close(self) -> None:
        """End them all, which also happens when nobody has this pool any more."""
        self._end()


def _end_all(kept: deque[Connection]) -> None:
    while kept:
        kept.pop().close()


def _is_old(connection: Connection) -> bool:
    return connection.used_at < time.monotonic() - MAX_IDLE
