"""The answer of a WSGI application, on the wire: head and body in one piece where they come in one piece."""

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
    """Takes what PEP 3333 has an application say.

    Args:
        send: puts bytes on the wire.
        environ: of the request.
        stays: says, when the head is written, whether the connection may stay open.
    """

    def __init__(self, send: Callable[[bytes], None], environ: dict[str, Any], stays: Callable[[], bool]) -> None:
        self._send = send
        self._environ = environ
        self._stays = stays
        self._status = ""
        self._fields: Fields = []
        self._length: int | None = None
        self._bodiless = self._chunked = False
        self._sent = 0
        self.begun = False  # whether something is on the wire
        self.stays = False  # whether the connection may be used again, once the answer is finished

    def start(
        self, status: str, fields: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """The `start_response` of PEP 3333."""
        if exc_info and self.begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status and not exc_info:
            raise AssertionError("The response has begun already.")
        if not _STATUS.fullmatch(status):
            raise ValueError("That is no status.")
        self._status = status
        self._bodiless = self._environ["REQUEST_METHOD"] == "HEAD" or status[:3] in ("204", "304") or status[0] == "1"
        self._take(fields)
        self._chunked = self._length is None and not self._bodiless and self._environ["SERVER_PROTOCOL"] != "HTTP/1.0"
        return self.write

    def write(self, content: bytes) -> None:
        """Send some of the body, behind the head if it is the first; never more than the Content-Length."""
        if self._length is not None:
            content = content[: self._length - self._sent]
        if content and not self._bodiless:
            self._sent += len(content)
            self._put(b"%X\r\n%b\r\n" % (len(content), content) if self._chunked else content)

    def finish(self) -> None:
        """The body is complete."""
        if self._chunked:
            self._put(b"0\r\n\r\n")
        elif not self.begun:
            self._put(b"")
        if self._length is not None and not self._bodiless and self._sent < self._length:
            self.stays = False  # the client waits for the rest

    def _take(self, fields: Fields) -> None:
        self._fields, self._length = [], None
        for name, value in fields:
            lower = name.lower()
            if lower in util.hop_headers:  # they are about this connection, which is ours
                continue
            if lower == "content-length":
                if self._status.startswith(("204", "1")):
                    continue
                self._length = int(value)
            self._fields.append((name, value))

    def _put(self, content: bytes) -> None:
        if not self.begun:
            content = self._head() + content
            self.begun = True
        self._send(content)

    def _head(self) -> bytes:
        if not self._status:
            raise AssertionError("The application has not started its response.")
        self.stays = self._stays() and (self._length is not None or self._chunked or self._bodiless)
        own = [
            f"{'HTTP/1.0' if self._environ['SERVER_PROTOCOL'] == 'HTTP/1.0' else 'HTTP/1.1'} {self._status}",
            f"Server: {SERVER}",
            f"Date: {_date(int(time.time()))}",
            f"Connection: {'keep-alive' if self.stays else 'close'}",
        ]
        if self._chunked:
            own.append("Transfer-Encoding: chunked")
        lines = [*own, *(f"{name}: {value}" for name, value in self._fields), ""]
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or not _LINES.fullmatch(head):
            raise ValueError("A field of the answer has a control character.")  # not which: it may quote a secret
        return f"{head}\r\n".encode("latin-1")


@lru_cache(1)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)
