"""Defines more faults of an upstream, in addition to those in tests/support/upstream.py."""

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
    """Respond with a status that allows neither a body nor a length."""
    return lambda connection: connection.sendall(f"HTTP/1.1 {status} X\r\n\r\n".encode())


def redirect(status: int, url: str) -> Act:
    """Redirect the caller, and what it posted, to another URL."""
    return answer(b"", status, f"Location: {url}/2fa/2/pin\r\n")


def html(status: int) -> Act:
    """Respond with an HTML page, as a proxy in front of an API does."""
    page = b"<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + page)


def late(act: Act, seconds: float) -> Act:
    """Do `act` after a while."""

    def later(connection: socket.socket) -> None:
        time.sleep(seconds)
        act(connection)

    return later


def drip_body(connection: socket.socket) -> None:
    """Send the head at once, and then the body byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    for _ in range(30):
        connection.sendall(b" ")
        time.sleep(0.1)


@cache
def _bomb(size: int) -> bytes:
    return gzip.compress(bytes(MIB), 9) * (size // MIB)  # a gzip stream may have many members


def gzip_bomb(connection: socket.socket) -> None:
    """Send 200 MB of zeros, compressed."""
    answer(_bomb(BOMB), headers="Content-Encoding: gzip\r\n")(connection)


def small_gzip_bomb(connection: socket.socket) -> None:
    """Send 10 MB of zeros, which take less than 64 KiB on the wire, so the whole response is read."""
    answer(_bomb(10 * MIB), headers="Content-Encoding: gzip\r\n")(connection)


def many_headers(connection: socket.socket) -> None:
    """Send 10,000 headers."""
    answer({}, headers="".join(f"X-Header-{n}: {n}\r\n" for n in range(10_000)))(connection)


def huge_header(connection: socket.socket) -> None:
    """Send one header of 10 MB."""
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
    """Announce `length` bytes and send two; the connection stays open."""

    def act(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}".encode())
        time.sleep(3)

    return act


def twice(first: Any, second: Any) -> Act:
    """Respond, and then respond again without a request: the second response would stay in a kept connection."""
    return lambda connection: connection.sendall(response_bytes(first) + response_bytes(second))


def after(hook: Callable[[], object], act: Act) -> Act:
    """Run `hook`, which may break Redis or end a worker, before `act`."""

    def later(connection: socket.socket) -> None:
        hook()
        act(connection)

    return later
