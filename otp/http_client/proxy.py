"""Reaches a host through a proxy, by CONNECT (RFC 9110, section 9.3.6). The proxy cannot read the TLS inside."""

import base64
import re
import socket
from urllib.parse import unquote_to_bytes

import gevent

from otp.http_client.connection import remaining

LONGEST_HEAD = 16 * 1024  # bytes of the proxy's response
_URL = re.compile(
    r"(?:http://)?(?:(?P<user>[^\s:/?#@\[\]]+)(?::(?P<password>[^\s/?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_CONNECTED = re.compile(rb"HTTP/1[.][01] 2[0-9][0-9][ \r]")
_NO_CREDENTIALS = re.compile(rb"HTTP/1[.][01] 407[ \r]")


class ProxyRefusedError(OSError):
    """The proxy did not connect, or its response cannot be read. Nothing was sent to the host."""


class ProxyCredentialsError(ProxyRefusedError):
    """The proxy requires other credentials (407)."""


class Proxy:
    """The address of a proxy, and the credentials for it (Basic, RFC 7617). Tracebacks show neither."""

    __slots__ = ("_fields", "address")

    def __init__(self, url: str) -> None:
        """Read `http://user:password@host:port`; the scheme and the credentials are optional.

        Raises:
            ValueError: the URL has another form. The message does not quote it.
        """
        read = _URL.fullmatch(url)
        if not read or not 0 < int(read["port"]) < 65536 or _BAD_PERCENT.search(url):
            raise ValueError(
                "must be like http://user:password@proxy.example.com:3128, with special characters of the password "
                "percent-encoded"
            )
        self.address = (read["host"].strip("[]"), int(read["port"]))
        self._fields = [_authorization(read["user"], read["password"] or "")] if read["user"] else []

    def connect(self, connected: socket.socket, host: str, port: int, deadline: float) -> None:
        """Ask the proxy at the other end of `connected` for a tunnel to `host`.

        Raises:
            OSError: it failed, or took longer than the `deadline` (time.monotonic()) allows.
        """
        name = host if host.isascii() else host.encode("idna").decode()
        authority = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *self._fields, "", ""]
        connected.settimeout(remaining(deadline))
        connected.sendall("\r\n".join(lines).encode("ascii"))
        head, _, rest = _head(connected, deadline).partition(b"\r\n\r\n")
        if _NO_CREDENTIALS.match(head + b"\r"):
            raise ProxyCredentialsError
        # The host sends nothing before the client does: bytes that are here already would be from the proxy.
        if rest or not _CONNECTED.match(head + b"\r"):
            raise ProxyRefusedError


def _authorization(user: str, password: str) -> str:
    credentials = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}"


def _head(connected: socket.socket, deadline: float) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        gevent.sleep(0)  # gevent's recv does not switch while there are bytes to read
        connected.settimeout(remaining(deadline))
        received = connected.recv(4096)
        head += received
        if not received or len(head) > LONGEST_HEAD:
            raise ProxyRefusedError
    return head
