"""More of what an upstream may do to a request than tests/support/upstream.py needs for its stories."""

import gzip
import socket
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.support.upstream import Act, answer, response_bytes

MIB = 1024 * 1024  # bytes
BOMB = 200 * MIB


def status_alone(status: int) -> Act:
    """An answer that by its status has no body and no length."""
    return lambda connection: connection.sendall(f"HTTP/1.1 {status} X\r\n\r\n".encode())


def redirect(status: int, url: str) -> Act:
    """Send the caller, and what it posted, elsewhere."""
    return answer(b"", status, f"Location: {url}/2fa/2/pin\r\n")


def html(status: int) -> Act:
    """What stands in front of a service and is no part of it."""
    page = b"<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + page)


def late(act: Act, seconds: float) -> Act:
    """`act`, after a while."""

    def later(connection: socket.socket) -> None:
        time.sleep(seconds)
        act(connection)

    return later


def drip_body(connection: socket.socket) -> None:
    """A head at once, and of the body a byte now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    for _ in range(30):
        connection.sendall(b" ")
        time.sleep(0.1)


@cache
def _bomb(size: int) -> bytes:
    return gzip.compress(bytes(MIB), 9) * (size // MIB)  # it may have many members


def gzip_bomb(connection: socket.socket) -> None:
    """200 MB of zeros, compressed, for whoever would unpack them."""
    answer(_bomb(BOMB), headers="Content-Encoding: gzip\r\n")(connection)


def small_gzip_bomb(connection: socket.socket) -> None:
    """Small enough on the wire to be read whole: 10 MB that take less than 64 KiB."""
    answer(_bomb(10 * MIB), headers="Content-Encoding: gzip\r\n")(connection)


def many_headers(connection: socket.socket) -> None:
    """10,000 of them."""
    answer({}, headers="".join(f"X-Header-{n}: {n}\r\n" for n in range(10_000)))(connection)


def huge_header(connection: socket.socket) -> None:
    """One header of 10 MB."""
    answer({}, headers=f"X-Huge: {'a' * 10_000_000}\r\n")(connection)


def _for_ever(head: bytes, again: bytes) -> Act:
    def act(connection: socket.socket) -> None:
        connection.sendall(head)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            connection.sendall(again)

    return act


endless_continue = _for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)
endless_headers = _for_ever(b"HTTP/1.1 200 OK\r\n", b"X-Header: a\r\n" * 5000)
endless_chunk_line = _for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 65536)
endless_trailers = _for_ever(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X-Trailer: a\r\n" * 5000
)
tiny_chunks = _for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 10_000)


def promised(length: Any) -> Act:
    """Say that `length` bytes will come, and send two; the connection stays open."""

    def act(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}".encode())
        time.sleep(3)

    return act


def twice(first: Any, second: Any) -> Act:
    """Answer, and once more to a question that nobody asked: it would stay in a kept connection."""
    return lambda connection: connection.sendall(response_bytes(first) + response_bytes(second))


def after(hook: Callable[[], object], act: Act) -> Act:
    """Run `hook`, which may break Redis or end a worker, and only then do `act`."""

    def later(connection: socket.socket) -> None:
        hook()
        act(connection)

    return later
