"""The steps that a process takes before it ends, in order."""

import atexit
import logging
from collections.abc import Callable
from enum import IntEnum, auto
from operator import itemgetter

log = logging.getLogger("otp")


class Step(IntEnum):
    """The steps, in their order: a later one writes what the earlier ones log and count."""

    FINISH_REDIS_WRITES = auto()
    SEND_ALERTS = auto()
    FLUSH_REQUEST_LOG = auto()
    SEND_SPANS = auto()
    WRITE_LOG_LINES = auto()
    REMOVE_METRIC_FILES = auto()


_actions: list[tuple[Step, Callable[[], object]]] = []


def add(step: Step, action: Callable[[], object]) -> None:
    """Have `action` called, as a part of `step`, when this process ends, and when a later fork of it does."""
    if not _actions:
        atexit.register(run)
    _actions.append((step, action))


def run() -> None:
    """Take all steps. An action that fails is logged, and the others are taken all the same.

    This includes a SystemExit, which gunicorn raises at a second signal to stop.
    """
    while _actions:  # an action may add another one
        _actions.sort(key=itemgetter(0))
        step, action = _actions.pop(0)
        try:
            action()
        except BaseException as e:
            log.error("shutdown_failed", extra={"step": step.name.lower(), "error": type(e).__name__})
