"""Writes to Redis that no response waits for."""

from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec

from gevent.pool import Group

from otp import shutdown
from otp.errors import StoreUnavailable

LAST_WRITES = 2.0  # seconds for the last writes when the process ends

_P = ParamSpec("_P")


class Background:
    """Runs writes in greenlets. A failure is logged and counted like that of every round trip, and ignored."""

    def __init__(self) -> None:
        self._running = Group()
        shutdown.add(shutdown.Step.FINISH_REDIS_WRITES, self.finish)

    def run(self, write: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Call `write` soon. Returns at once."""

        def quietly() -> None:
            with suppress(StoreUnavailable):
                write(*args, **kwargs)

        self._running.spawn(quietly)

    def finish(self) -> None:
        """Wait until all writes are done, for 2 s at most."""
        self._running.join(LAST_WRITES)
