"""Connections to a server that may say anything, and without an end."""

import io
from http.client import HTTPResponse
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

MAX_BYTES = 1024 * 1024  # of status lines, headers, chunks and trailers together


class BoundedResponse(HTTPResponse):
    """Reads at most 1 MiB from the network, then fails with an OSError.

    Python's own reads interim answers (100 Continue) and trailers for as long as they come. Where they come faster than
    they are read, it never waits, so that no deadline of gevent's interrupts it and the whole worker stands still.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_Bounded(self.fp.detach()))


class _Bounded(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._left = MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        read: int | None = self._raw.readinto(buffer)
        self._left -= read or 0
        if self._left < 0:
            raise OSError("the answer has no end")
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class PlainConnection(HTTPConnection):
    """Over http."""

    response_class = BoundedResponse


class TlsConnection(HTTPSConnection):
    """Over https."""

    response_class = BoundedResponse
