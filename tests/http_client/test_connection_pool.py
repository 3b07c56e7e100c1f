"""Tests which connections the pool keeps for the next call, and which it closes."""

import socket
import time
from collections.abc import Iterator

import pytest

from otp.http_client.connection import Connection
from otp.http_client.connection_pool import MAX_IDLE, ConnectionPool

SOON = time.monotonic() + 600


class Opened:
    """Opens connections, and keeps their other ends."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []

    def __call__(self, _: float) -> Connection:
        ours, other = socket.socketpair()
        self.ends.append(other)
        return Connection(ours)

    def is_ended(self, number: int) -> bool:
        self.ends[number].settimeout(0)
        try:
            return self.ends[number].recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def opened() -> Iterator[Opened]:
    opened = Opened()
    yield opened
    for end in opened.ends:
        end.close()


@pytest.fixture
def pool(opened: Opened) -> ConnectionPool:
    return ConnectionPool(opened, size=2)


def test_the_newest_connection_is_taken_first(pool: ConnectionPool) -> None:
    first, second = pool.take(SOON), pool.take(SOON)
    pool.give_back(first)
    pool.give_back(second)
    assert pool.take(SOON) is second
    assert pool.take(SOON) is first
    first.close()
    second.close()


def test_no_more_connections_than_the_pool_size_are_kept(pool: ConnectionPool, opened: Opened) -> None:
    for connection in [pool.take(SOON) for _ in range(3)]:
        pool.give_back(connection)
    assert [opened.is_ended(number) for number in range(3)] == [True, False, False]


@pytest.mark.parametrize("beyond", [-1, 1])
def test_a_connection_that_was_idle_too_long_is_not_used(pool: ConnectionPool, opened: Opened, beyond: float) -> None:
    """A load balancer may have dropped it without notice."""
    connection = pool.take(SOON)
    connection.used_at -= MAX_IDLE + beyond
    pool.give_back(connection)
    taken = pool.take(SOON)
    assert (taken is connection) == (beyond < 0)
    assert opened.is_ended(0) == (beyond > 0)
    taken.close()


def test_surplus_connections_are_closed_after_the_idle_time(pool: ConnectionPool, opened: Opened) -> None:
    old, new = pool.take(SOON), pool.take(SOON)
    old.used_at -= MAX_IDLE + 1
    pool.give_back(old)
    pool.give_back(new)
    assert opened.is_ended(0)
    assert not opened.is_ended(1)


@pytest.mark.parametrize(
    "received", [b"", b"HTTP/1.1 200 OK\r\n", b"\r\n"], ids=["its end", "a response", "a blank line"]
)
def test_a_connection_that_received_something_while_idle_is_not_used(
    pool: ConnectionPool, opened: Opened, received: bytes
) -> None:
    connection = pool.take(SOON)
    pool.give_back(connection)
    opened.ends[0].sendall(received)
    opened.ends[0].shutdown(socket.SHUT_WR)
    taken = pool.take(SOON)
    assert taken is not connection
    assert len(opened.ends) == 2
    taken.close()
