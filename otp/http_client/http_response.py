"""Parses one HTTP response with llhttp. The bytes are not trusted: they may be malformed or endless."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_BODY = 64 * 1024  # bytes
MAX_BYTES = 1024 * 1024  # of interim responses, headers, chunks and trailers together
MAX_HEADERS = 100  # including those of interim responses and trailers

_SWITCHING_PROTOCOLS = 101
_BODILESS = (204, 304)


class BadResponseError(OSError):
    """The bytes are not an HTTP response, or the response is truncated or endless."""


class HttpResponse:
    """Takes bytes until the response is complete. Each response has its own object: nothing is carried over.

    `body` is empty if it was over 64 KiB; the rest is not read. `is_reusable` says whether the connection can carry
    another request: only if the length of this response is certain and nothing came after it. Otherwise a second
    response to one request could be read as the response to another person's request.
    """

    __slots__ = (
        "_body", "_body_left", "_bytes_left", "_headers_left", "_is_final", "_parser",
        "headers", "is_complete", "is_reusable", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.is_complete = self.is_reusable = False
        self._is_final = False
        self._body: list[bytes] = []
        self._bytes_left, self._body_left, self._headers_left = MAX_BYTES, MAX_BODY, MAX_HEADERS  # still accepted
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        """The bytes of the body, not decompressed."""
        return b"".join(self._body)

    def feed(self, received: bytes) -> None:
        """Parse the next bytes; b"" means that the connection has ended.

        Raises:
            BadResponseError: the response cannot be used.
        """
        if not received:
            return self._end()
        self._bytes_left -= len(received)
        if self._bytes_left < 0:
            raise BadResponseError("the response has no end")
        assert self._parser
        try:
            self._parser.feed_data(received)
        except (HttpParserError, HttpParserUpgrade) as e:
            self.is_reusable = False
            if not self.is_complete:
                raise BadResponseError(str(e)) from e
        return None

    def close(self) -> None:
        """Drop the parser: it refers to this object, and the cycle would wait for the garbage collector."""
        self._parser = None

    def _end(self) -> None:
        framed = {"content-length", "transfer-encoding"} & {name.lower() for name, _ in self.headers}
        if framed or not self._is_final:
            raise BadResponseError("the response was cut off")
        self.is_complete, self.is_reusable = True, False

    # Callbacks of the parser. An exception ends the parsing.

    def on_message_begin(self) -> None:
        """Refuse a second response to one request."""
        if self.is_complete:
            raise BadResponseError("there is more than one response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Trailers are only counted, because they may come from another server than the head."""
        self._headers_left -= 1
        if self._headers_left < 0:
            raise BadResponseError("there are too many headers")
        if not self._is_final:
            self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Distinguish the final response from interim ones (100 Continue), which may precede it."""
        assert self._parser
        self.status = self._parser.get_status_code()
        if self.status < 100 or self.status == _SWITCHING_PROTOCOLS or self._parser.get_http_version()[0] != "1":
            raise BadResponseError("this is not HTTP/1")
        if self.status < 200:
            self.headers.clear()
            return
        self._is_final = True
        self.is_reusable = self._can_be_followed(self._parser)

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body, or drop the whole body if it is too large."""
        self._body.append(part)
        self._body_left -= len(part)
        if self._body_left < 0:
            self._body.clear()
            self.is_complete = True
            raise BadResponseError("the body is too large")

    def on_message_complete(self) -> None:
        """Note that the final response is complete."""
        self.is_complete = self._is_final

    def _can_be_followed(self, parser: HttpResponseParser) -> bool:
        """Whether the end of the response is certain. Some servers send a body even with a 204 or 304."""
        return parser.should_keep_alive() and parser.get_http_version() == "1.1" and self.status not in _BODILESS
