"""One HTTP response out of bytes that may be anything, and without an end. llhttp reads them."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_BODY = 64 * 1024  # bytes
MAX_BYTES = 1024 * 1024  # of interim responses, headers, chunks and trailers together
MAX_HEADERS = 100  # those of interim responses and trailers included

_SWITCHING_PROTOCOLS = 101
_BODILESS = (204, 304)


class BadResponseError(OSError):
    """What came is no HTTP response, is cut off, or has no end."""


class _Left:
    """What may still come."""

    __slots__ = ("body", "bytes", "headers")

    def __init__(self) -> None:
        self.bytes, self.body, self.headers = MAX_BYTES, MAX_BODY, MAX_HEADERS


class HttpResponse:
    """Takes bytes until the response is complete. One response, one object: nothing is carried over to the next.

    `body` is empty where it was over 64 KiB; the rest of it is not awaited. `is_reusable` says whether another request
    may follow on the connection: only where this response ended by its own length, as the last thing that came.
    Two responses to one request could otherwise be read as the answers to two people's requests.
    """

    __slots__ = ("_body", "_is_final", "_left", "_parser", "headers", "is_complete", "is_reusable", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.is_complete = self.is_reusable = False
        self._is_final = False
        self._body: list[bytes] = []
        self._left = _Left()
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        """All of it, as it came: nothing is unpacked."""
        return b"".join(self._body)

    def feed(self, received: bytes) -> None:
        """Take what came next; nothing where the connection has ended.

        Raises:
            BadResponseError: nothing good can come of it any more.
        """
        if not received:
            return self._end()
        self._left.bytes -= len(received)
        if self._left.bytes < 0:
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
        """Let go of the parser. It holds on to this object: else each waits for the garbage collector."""
        self._parser = None

    def _end(self) -> None:
        framed = {"content-length", "transfer-encoding"} & {name.lower() for name, _ in self.headers}
        if framed or not self._is_final:
            raise BadResponseError("the response was cut off")
        self.is_complete, self.is_reusable = True, False

    # What the parser calls. An exception ends the parsing.

    def on_message_begin(self) -> None:
        """Refuse a second response to one request."""
        if self.is_complete:
            raise BadResponseError("there is more than one response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. A trailer is counted only: who sends it may not be who wrote the head."""
        self._left.headers -= 1
        if self._left.headers < 0:
            raise BadResponseError("there are too many headers")
        if not self._is_final:
            self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Tell the response from the interim ones (100 Continue) that may come before it."""
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
        """Keep it, or nothing of it where it is too large."""
        self._body.append(part)
        self._left.body -= len(part)
        if self._left.body < 0:
            self._body.clear()
            self.is_complete = True
            raise BadResponseError("the body is too large")

    def on_message_complete(self) -> None:
        """Know the end of the response itself."""
        self.is_complete = self._is_final

    def _can_be_followed(self, parser: HttpResponseParser) -> bool:
        """Whether its end is beyond doubt. Some servers send a body with a 204 or 304 all the same."""
        return parser.should_keep_alive() and parser.get_http_version() == "1.1" and self.status not in _BODILESS
