"""Writes log lines to a file descriptor by a queue and a thread of its own.

A write to a pipe that nobody reads never returns, and under gevent every request of the worker waits with it. So the
thread is a real one, and uses the originals of what gevent has patched.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gevent import monkey

from otp import shutdown

_Queue = monkey.get_original("queue", "SimpleQueue")
_sleep = monkey.get_original("time", "sleep")
_start_thread = monkey.get_original("_thread", "start_new_thread")

MOST_WAITING = 10_000  # lines, about 5 MB
PAUSE = 0.02  # seconds in which lines gather: to wake the thread for each costs more than to write it
LAST_LINES = 1.0  # seconds to write the lines that wait when the process ends
PIPE_BUF = 4096  # bytes that reach a pipe in one piece, however many processes write to it


class NonBlockingWriter:
    """Writes lines to `fd`, and its callers never wait. Lines that the queue has no room for are dropped.

    Args:
        render: makes the line of an entry. It runs in the thread, for many entries at a time, which costs a quarter of
            what it costs between two requests. It must not raise, nor use anything of gevent's.
        notice: makes the line that says how many were dropped, which is written as soon as there is room again.
        most_waiting: entries that the queue takes.
    """

    def __init__(
        self, fd: int, render: Callable[[Any], str], notice: Callable[[int], str], most_waiting: int = MOST_WAITING
    ) -> None:
        self._fd = fd
        self._render = render
        self._notice = notice
        self._most = most_waiting
        self._pid = 0
        shutdown.add(shutdown.Step.WRITE_LOG_LINES, self.finish)

    def write(self, entry: Any) -> bool:
        """Have the line of `entry` written. False if it was dropped."""
        if self._pid != os.getpid():  # a fork has no threads of its parent, which writes the parent's lines
            self._begin()
        if self._queue.qsize() >= self._most:
            self._dropped += 1
            return False
        self._put += 1
        self._queue.put(entry)
        return True

    def finish(self, seconds: float = LAST_LINES) -> None:
        """Wait until all lines are written, for so many `seconds` at most."""
        for _ in range(int(seconds / PAUSE)):
            if self._pid != os.getpid() or self._written >= self._put:
                return
            _sleep(PAUSE)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._put = self._written = self._dropped = 0
        self._queue = _Queue()
        _start_thread(self._drain, (self._queue,))

    def _drain(self, queue: Any) -> None:
        noticed = 0
        while True:
            waiting = [queue.get()]
            _sleep(PAUSE)
            waiting += [queue.get() for _ in range(queue.qsize())]
            lines = [self._render(each) for each in waiting]
            dropped, taken = self._dropped, len(lines)
            if dropped > noticed:
                lines.append(self._notice(dropped - noticed))
                noticed = dropped
            for piece in _pieces(lines):
                self._write(piece)
            self._written += taken

    def _write(self, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(self._fd, piece) :]
            except BlockingIOError:  # another process that has the descriptor made it non-blocking
                _sleep(PAUSE)
            except OSError:  # closed, or the disk is full
                return


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """Join whole lines to pieces that reach a pipe as one."""
    piece = b""
    for line in lines:
        encoded = line.encode(errors="backslashreplace") + b"\n"
        if piece and len(piece) + len(encoded) > PIPE_BUF:
            yield piece
            piece = b""
        piece += encoded
    yield piece
