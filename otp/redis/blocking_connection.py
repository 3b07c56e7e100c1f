"""The connection of a process that gevent has not patched: a command at the terminal, a test."""

import threading
from collections.abc import Callable
from typing import Any

from redis import Connection

from otp.redis.failures import ERROR_REPLIES, FAILURES


class Replies:
    """What came back already, as a `Batch` gives it."""

    def __init__(self, replies: list[Any]) -> None:
        self._replies = replies

    def wait(self) -> list[Any]:
        """The replies; one that is an error is among them."""
        return self._replies


class BlockingConnection:
    """The connection to one server; its threads take turns.

    Args:
        make: makes a connection that is not open yet, whose socket has a timeout: nothing else ends a wait here.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._connection = make()
        self._lock = threading.Lock()

    def submit(self, packed: bytes, expected: int, patience: float) -> Replies:
        """Send the commands and read their replies.

        Raises:
            redis.ConnectionError, redis.TimeoutError: whether the commands ran is unknown.
        """
        with self._lock:
            try:
                self._connection.connect()
                self._connection.send_packed_command([packed], check_health=False)
                return Replies([self._reply() for _ in range(expected)])
            except FAILURES:
                self._connection.disconnect()  # replies that are still to come belong to nobody
                raise

    def _reply(self) -> Any:
        try:
            return self._connection.read_response(disconnect_on_error=False)
        except ERROR_REPLIES as e:
            return e

    def close(self) -> None:
        """End the connection. The next command opens another one."""
        with self._lock:
            self._connection.disconnect()
