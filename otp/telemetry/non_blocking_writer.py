"""Where log lines go: into a queue, and from there, by a thread that may wait, into a file descriptor.

A write to a pipe that nobody reads waits for ever, and with it, under gevent, every request of the worker. So the
thread is a real one, and all it touches are the originals of what gevent has patched.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gevent import monkey

_Queue = monkey.get_original("queue", "SimpleQueue")
_sleep = monkey.get_original("time", "sleep")
_start_thread = monkey.get_original("_thread", "start_new_thread")

MOST_WAITING = 10_000  # lines, about 5 MB
PAUSE = 0.02  # seconds in which lines gather: to wake the thread for each costs more than to write it
AT_THE_END = 1.0  # seconds that a process which ends gives the lines that wait
PIPE_BUF = 4096  # bytes that reach a pipe in one piece, however many processes write to it


class NonBlockingWriter:
    """Writes lines to `fd` and never waits for it. What there is no room for is dropped and counted.

    Args:
        render: makes the line of what was put in. In the thread, many at a time: so it costs a quarter of what it costs
            between two requests. Must not raise, nor touch anything of gevent's.
        notice: the line that says how many were dropped; written as soon as there is room again.
    """

    def __init__(
        self, fd: int, render: Callable[[Any], str], notice: Callable[[int], str], most_waiting: int = MOST_WAITING
    ) -> None:
        self._fd = fd
        self._render = render
        self._notice = notice
        self._most = most_waiting
        self._pid = 0
        atexit.register(self.finish)

    def write(self, told: Any) -> bool:
        """Have the line of `told` written. False if it was dropped."""
        if self._pid != os.getpid():  # a fork takes no threads along, and its lines are its parent's to write
            self._begin()
        if self._queue.qsize() >= self._most:
            self._dropped += 1
            return False
        self._put += 1
        self._queue.put(told)
        return True

    def finish(self, seconds: float = AT_THE_END) -> None:
        """Wait until all is written, but no longer than that."""
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
        told = 0
        while True:
            waiting = [queue.get()]
            _sleep(PAUSE)
            waiting += [queue.get() for _ in range(queue.qsize())]
            lines = [self._render(each) for each in waiting]
            dropped, taken = self._dropped, len(lines)
            if dropped > told:
                lines.append(self._notice(dropped - told))
                told = dropped
            for piece in _pieces(lines):
                self._write(piece)
            self._written += taken

    def _write(self, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(self._fd, piece) :]
            except BlockingIOError:  # somebody has made it so; it is not ours alone
                _sleep(PAUSE)
            except OSError:  # closed, or the disk is full: there is nobody to tell
                return


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """Whole lines, as many as reach a pipe in one piece."""
    piece = b""
    for line in lines:
        encoded = line.encode(errors="backslashreplace") + b"\n"
        if piece and len(piece) + len(encoded) > PIPE_BUF:
            yield piece
            piece = b""
        piece += encoded
    yield piece
