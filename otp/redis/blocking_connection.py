"""The connection of a process that gevent has not patched: `flask --app app run`, or a test."""

import threading
from collections.abc import Callable
from typing import Any

from redis import Connection

from otp.redis.failures import ERROR_REPLIES, FAILURES


class Replies:
    """Replies that are there already, with the interface of a `Batch`."""

    def __init__(self, replies: list[Any]) -> None:
        self._replies = replies

    def wait(self) -> list[Any]:
        """The replies, errors among them."""
        return self._replies


class BlockingConnection:
    """The connection to one server; its threads take turns.

    Args:
        make: makes a redis-py connection that is not open yet. Its socket needs a timeout: nothing else ends a wait.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._connection = make()
        self._lock = threading.Lock()

    def submit(self, packed: bytes, expected: int, timeout: float) -> Replies:
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
                self._connection.disconnect()  # replies that come later would be taken for those of the next commands
                raise

    def _reply(self) -> Any:
        try:
            return self._connection.read_response(disconnect_on_error=False)
        except ERROR_REPLIES as e:
            return e

    def close(self) -> None:
        """Close the connection. The next command opens another one."""
        with self._lock:
            self._connection.disconnect()
