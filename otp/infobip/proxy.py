"""A way to Infobip through a proxy, by CONNECT (RFC 9110, section 9.3.6). It cannot read what then goes by TLS."""

import base64
import re
import socket
from urllib.parse import unquote_to_bytes

import gevent

from otp.infobip.connection import remaining

LONGEST_HEAD = 16 * 1024  # bytes of the proxy's response
_URL = re.compile(
    r"(?:http://)?(?:(?P<user>[^\s:/?#@\[\]]+)(?::(?P<password>[^\s/?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_CONNECTED = re.compile(rb"HTTP/1[.][01] 2[0-9][0-9][ \r]")
_NO_CREDENTIALS = re.compile(rb"HTTP/1[.][01] 407[ \r]")


class ProxyRefusedError(OSError):
    """The proxy did not connect, or said nothing that can be understood. Nothing was sent to the host."""


class ProxyCredentialsError(ProxyRefusedError):
    """The proxy wants other credentials (407)."""


class Proxy:
    """Where the proxy is, and as whom one comes to it (Basic, RFC 7617). Shows neither in a traceback."""

    __slots__ = ("_fields", "address")

    def __init__(self, url: str) -> None:
        """Read `http://user:password@host:port`; the scheme, and the user and the password, may be left out.

        Raises:
            ValueError: it is no such URL. The sentence does not show it.
        """
        read = _URL.fullmatch(url)
        if not read or not 0 < int(read["port"]) < 65536 or _BAD_PERCENT.search(url):
            raise ValueError(
                "must be like http://user:password@proxy.example.com:3128, with what is special in the password "
                "percent-encoded"
            )
        self.address = (read["host"].strip("[]"), int(read["port"]))
        self._fields = [_authorization(read["user"], read["password"] or "")] if read["user"] else []

    def connect(self, connected: socket.socket, host: str, port: int, deadline: float) -> None:
        """Have the proxy that is `connected` reach `host`. From then on, what is sent goes there.

        Raises:
            OSError: it did not, or not until the `deadline`, a time of time.monotonic().
        """
        name = host if host.isascii() else host.encode("idna").decode()
        authority = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *self._fields, "", ""]
        connected.settimeout(remaining(deadline))
        connected.sendall("\r\n".join(lines).encode("ascii"))
        head, _, rest = _head(connected, deadline).partition(b"\r\n\r\n")
        if _NO_CREDENTIALS.match(head + b"\r"):
            raise ProxyCredentialsError
        # The host does not speak before it is spoken to: what is there already would be the proxy's own.
        if rest or not _CONNECTED.match(head + b"\r"):
            raise ProxyRefusedError


def _authorization(user: str, password: str) -> str:
    credentials = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}"


def _head(connected: socket.socket, deadline: float) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        gevent.sleep(0)  # gevent's recv does not switch while bytes are there
        connected.settimeout(remaining(deadline))
        received = connected.recv(4096)
        head += received
        if not received or len(head) > LONGEST_HEAD:
            raise ProxyRefusedError
    return head
