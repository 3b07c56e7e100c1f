"""Writes to Redis that no answer waits for."""

from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec

from gevent.pool import Group

from otp import shutdown
from otp.errors import StoreUnavailable

AT_THE_END = 2.0  # seconds that a stopping worker has for the last ones

_P = ParamSpec("_P")


class Background:
    """Runs them. One that fails is logged and counted where every round trip is, and fails nobody."""

    def __init__(self) -> None:
        self._running = Group()
        shutdown.add(shutdown.Step.FINISH_REDIS_WRITES, self.finish)

    def run(self, write: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Have `write` called. Returns at once."""

        def quietly() -> None:
            with suppress(StoreUnavailable):
                write(*args, **kwargs)

        self._running.spawn(quietly)

    def finish(self) -> None:
        """Wait until all are done."""
        self._running.join(AT_THE_END)
