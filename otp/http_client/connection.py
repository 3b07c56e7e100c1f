"""One connection to a host, over TCP or TLS."""

import socket
import ssl
import time

import gevent
import requests

from otp.http_client.http_response import HttpResponse

_READ = 16 * 1024  # bytes at once, which is a whole record of TLS


class NothingSent(requests.ConnectionError):
    """No byte of the request was sent. After any other error, the host may have read the request."""


class Connection:
    """Carries one request at a time. Close it after an error or an interruption: a response may still arrive."""

    __slots__ = ("_socket", "used_at")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.used_at = time.monotonic()  # by the clock of time.monotonic()

    def is_quiet(self) -> bool:
        """Whether no byte and no end has arrived since the last response. One system call, which never waits."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def exchange(self, request: bytes, deadline: float) -> HttpResponse:
        """Send `request`, and read the response to it until the `deadline`, a time of time.monotonic().

        Raises:
            NothingSent: no byte of it was sent.
            OSError: no complete response arrived.
        """
        self._send(request, deadline)
        response = self._receive(deadline)
        self.used_at = time.monotonic()
        return response

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, request: bytes, deadline: float) -> None:
        try:
            self._socket.settimeout(remaining(deadline))
            sent = self._socket.send(request)
        except OSError as e:
            if isinstance(self._socket, ssl.SSLSocket):  # a part of a TLS record may be on its way
                raise
            raise NothingSent from e
        if sent < len(request):
            self._socket.sendall(memoryview(request)[sent:])

    def _receive(self, deadline: float) -> HttpResponse:
        received = self._read(deadline)
        response = HttpResponse()
        try:
            response.feed(received)
            while not response.is_complete:
                gevent.sleep(0)  # gevent's recv does not switch while there are bytes to read
                response.feed(self._read(deadline))
        finally:
            response.close()
        return response

    def _read(self, deadline: float) -> bytes:
        self._socket.settimeout(remaining(deadline))
        return self._socket.recv(_READ)


def remaining(deadline: float) -> float:
    """The seconds until `deadline`.

    Raises:
        TimeoutError: the deadline has passed.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
