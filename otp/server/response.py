"""Sends the response of a WSGI application; a short one in one piece."""

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from types import TracebackType
from typing import Any

from gunicorn import SERVER, util

Fields = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

_STATUS = re.compile(r"[0-9]{3}(?: [\t -~\x80-\xff]*)?")
_LINES = re.compile(r"(?:[\t -~\x80-\xff]+\r\n)+")


class Response:
    """The server's side of a response by PEP 3333.

    Args:
        send: sends bytes.
        environ: the environ of the request.
        may_keep_alive: whether the connection may stay open; called when the head is written.
    """

    def __init__(
        self, send: Callable[[bytes], None], environ: dict[str, Any], may_keep_alive: Callable[[], bool]
    ) -> None:
        self._send = send
        self._environ = environ
        self._may_keep_alive = may_keep_alive
        self._status = ""
        self._fields: Fields = []
        self._length: int | None = None
        self._bodiless = self._chunked = False
        self._sent = 0
        self.begun = False  # whether something was sent
        self.keep_alive = False  # whether the connection can be used again after the response

    def start(
        self, status: str, fields: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """The `start_response` of PEP 3333."""
        if exc_info and self.begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status and not exc_info:
            raise AssertionError("The response has begun already.")
        if not _STATUS.fullmatch(status):
            raise ValueError("That is not a status.")
        self._status = status
        self._bodiless = self._environ["REQUEST_METHOD"] == "HEAD" or status[:3] in ("204", "304") or status[0] == "1"
        self._set_fields(fields)
        self._chunked = self._length is None and not self._bodiless and self._environ["SERVER_PROTOCOL"] != "HTTP/1.0"
        return self.write

    def write(self, content: bytes) -> None:
        """Send a part of the body, the first part with the head; never more than the Content-Length."""
        if self._length is not None:
            content = content[: self._length - self._sent]
        if content and not self._bodiless:
            self._sent += len(content)
            self._send_part(b"%X\r\n%b\r\n" % (len(content), content) if self._chunked else content)

    def finish(self) -> None:
        """End the body, and send the head if the body is empty."""
        if self._chunked:
            self._send_part(b"0\r\n\r\n")
        elif not self.begun:
            self._send_part(b"")
        if self._length is not None and not self._bodiless and self._sent < self._length:
            self.keep_alive = False  # the client waits for the rest

    def _set_fields(self, fields: Fields) -> None:
        self._fields, self._length = [], None
        for name, value in fields:
            lower = name.lower()
            if lower in util.hop_headers:  # the server decides about its connection
                continue
            if lower == "content-length":
                if self._status.startswith(("204", "1")):
                    continue
                self._length = int(value)
            self._fields.append((name, value))

    def _send_part(self, content: bytes) -> None:
        if not self.begun:
            content = self._head() + content
            self.begun = True
        self._send(content)

    def _head(self) -> bytes:
        if not self._status:
            raise AssertionError("The application has not started its response.")
        self.keep_alive = self._may_keep_alive() and (self._length is not None or self._chunked or self._bodiless)
        own = [
            f"{'HTTP/1.0' if self._environ['SERVER_PROTOCOL'] == 'HTTP/1.0' else 'HTTP/1.1'} {self._status}",
            f"Server: {SERVER}",
            f"Date: {_date(int(time.time()))}",
            f"Connection: {'keep-alive' if self.keep_alive else 'close'}",
        ]
        if self._chunked:
            own.append("Transfer-Encoding: chunked")
        lines = [*own, *(f"{name}: {value}" for name, value in self._fields), ""]
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or not _LINES.fullmatch(head):
            # Without its name and value, which may be secret.
            raise ValueError("A field of the response has a control character.")
        return f"{head}\r\n".encode("latin-1")


@lru_cache(1)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)
