"""Serves the requests of one client connection, one after the other."""

import io
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from gunicorn.config import Config
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

from otp.errors import InvalidRequest, OtpError
from otp.server.heads import LONGEST_HEAD, Environ, Head, read_accepted, read_common
from otp.server.response import Response
from otp.server.stream import ClientGoneError, Stream
from otp.web.error_responses import raw_refusal

SMALL = 16 * 1024  # bytes; a body up to this size is received before the application is called
MOST_RECEIVED = 1024 * 1024  # bytes of a body, including its chunk frames, that the application may read itself
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Service(NamedTuple):
    """What all connections of a worker share.

    `environ`: the common variables of their requests; `begin` is called for each request; `alive`: whether the worker
    accepts more requests.
    """

    application: Application
    environ: Environ
    config: Config
    begin: Callable[[], None]
    alive: Callable[[], bool]


class Connection:
    """Serves the requests of `stream` until there are no more."""

    def __init__(self, stream: Stream, service: Service, here: Any, peer: Any) -> None:
        self._stream = stream
        self._service = service
        self._peer = peer
        self._received = b""
        self._incoming: Incoming | None = None  # reads the rest of a body for the application
        self._body: Body | None = None
        ends = _place("SERVER_NAME", "SERVER_PORT", here) | _place("REMOTE_ADDR", "REMOTE_PORT", peer)
        self._environ = {**service.environ, **ends}

    def serve(self) -> None:
        """Respond to all requests in order."""
        try:
            while head := self._next():
                if not self._exchange(head):
                    break
        except ClientGoneError:
            pass

    def _next(self) -> Head | None:
        """The head of the next request; None if there is none, or it was refused."""
        try:
            return self._read(received) if (received := self._next_head()) else None
        except ParseException:
            self._stream.send(raw_refusal(InvalidRequest()))
            self._stream.linger()
            return None

    def _exchange(self, head: Head) -> bool:
        """Respond to one request, and return whether another may follow."""
        self._service.begin()
        environ = {**self._environ, **head.environ, "wsgi.input": self._open_body(head)}
        response = Response(self._stream.send, environ, lambda: head.keep_alive and self._may_keep_alive())
        self._answer(environ, response)
        if self._incoming:
            self._received = self._incoming.take_buffered()
        if not response.keep_alive:  # otherwise late bytes would reset the connection and destroy the response
            self._stream.linger()
        return response.keep_alive

    def _next_head(self) -> bytes:
        """The bytes up to the first empty line; b"" if none arrives in time. Raises ParseException."""
        if self._received:
            self._stream.let_others_run()  # a client that pipelines requests must not get more than its share
            self._stream.set_deadline()
        else:
            self._received = self._stream.receive_next()
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            _check_beginning(self._received)
            if not (more := self._stream.receive_more()):
                return b""
            self._received += more
        _check_beginning(self._received[: end + 4])
        head, self._received = self._received[: end + 4], self._received[end + 4 :]
        return head

    def _read(self, received: bytes) -> Head:
        self._incoming = self._body = None
        if head := read_common(received):
            return head
        incoming = self._rest(received + self._received)
        head = read_accepted(Request(self._service.config, incoming, self._peer))
        incoming.continues = "HTTP_EXPECT" in head.environ and head.environ["SERVER_PROTOCOL"] != "HTTP/1.0"
        return head

    def _rest(self, received: bytes) -> "Incoming":
        self._incoming, self._received = Incoming(self._stream, received), b""
        return self._incoming

    def _open_body(self, head: Head) -> Any:
        """The file from which the application reads the body."""
        self._stream.set_deadline()
        self._body = head.body
        if self._body is None:
            if self._receive_small(head.length):
                self._stream.set_deadline()
                body, self._received = self._received[: head.length], self._received[head.length :]
                return io.BytesIO(body)
            self._body = Body(LengthReader(self._rest(self._received), head.length))
        return self._body

    def _receive_small(self, length: int) -> bool:
        """Wait for a small body, and return whether the whole body is here. A small one is never left unread."""
        while len(self._received) < length <= SMALL:
            if not (more := self._stream.receive_more()):
                break
            self._received += more
        return len(self._received) >= length

    def _may_keep_alive(self) -> bool:
        return self._service.alive() and not self._stream.given_up and self._is_read()

    def _is_read(self) -> bool:
        """Whether the body was read to its end, so that the next request can follow it (RFC 9112, 9.3)."""
        if self._body is None:
            return True
        reader = self._body.reader
        is_at_end = reader.length == 0 if isinstance(reader, LengthReader) else reader.parser is None
        return is_at_end and not self._body.failed

    def _answer(self, environ: Environ, response: Response) -> None:
        try:
            parts = self._service.application(environ, response.start)
            try:
                for part in parts:
                    response.write(part)
                response.finish()
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        except ClientGoneError:
            raise
        except Exception as e:
            logging.getLogger("otp").error("bug", extra={"error": type(e).__name__, "at": "outside the application"})
            response.keep_alive = False
            if not response.begun:
                self._stream.send(raw_refusal(OtpError()))


class Incoming(Unreader):  # type: ignore[misc]
    """The source of more bytes for gunicorn's readers of a body."""

    def __init__(self, stream: Stream, received: bytes) -> None:
        super().__init__()
        self.unread(received)
        self.continues = False  # whether the client waits for 100 Continue before it sends the body
        self._stream = stream
        self._left = MOST_RECEIVED

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Some bytes. Raises NoMoreData if no more arrive, or too many have arrived."""
        if self.continues:
            self.continues = False
            self._stream.send(_CONTINUE)
        received = self._stream.receive_more()
        self._stream.stop_waiting()
        self._left -= len(received)
        if not received or self._left < 0:
            raise NoMoreData
        return received


def _place(address: str, port: str, name: Any) -> Environ:
    """The variables of one end of a connection; both are empty for a Unix socket."""
    known = name if isinstance(name, tuple) else ("", "")
    return {address: known[0], port: str(known[1])}


def _check_beginning(received: bytes) -> None:
    """Refuse the beginning of a head that cannot be accepted, or is too long."""
    if len(received) > LONGEST_HEAD:
        raise LimitRequestHeaders("the head is too long")
    if received.count(b"\n") != received.count(b"\r\n"):
        raise InvalidHeader("bare LF as line terminator")
