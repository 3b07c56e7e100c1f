"""How log lines look: JSON for machines, or columns for a person at a terminal. All loggers write this form."""

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from gunicorn.glogging import Logger
from structlog.typing import EventDict, Processor

from otp.request_record import current_or_none
from otp.telemetry import metrics
from otp.telemetry.non_blocking_writer import NonBlockingWriter

_STDERR = 2

_writer: NonBlockingWriter | None = None


def write(at: float, event: dict[str, Any]) -> None:
    """Write `event`, of the time `at` (Unix seconds), as a line. Without a LogRecord it costs a third."""
    if _writer and not _writer.write((at, event)):
        metrics.LOG_LINES_DROPPED.inc()


def configure(log_format: str, log_level: str) -> None:
    """Have this process, and all that it forks, log to standard error.

    Args:
        log_format: json or console.
        log_level: the lowest level that is logged, like INFO.
    """
    global _writer  # noqa: PLW0603  one in a process, like the root logger's handler
    renderer, notice = (_console(), _console_notice) if log_format == "console" else (_json(), _notice)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[_in_order, structlog.processors.format_exc_info, renderer],
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
    )
    # No line has these, and the thread's name is not cheap under gevent.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _writer = NonBlockingWriter(_STDERR, partial(_line, formatter, renderer), notice)
    handler = _WriterHandler(_writer)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    logging.getLogger("otp").setLevel(log_level)
    logging.getLogger("gunicorn.error").setLevel(max(logging.INFO, logging.getLevelName(log_level)))
    logging.getLogger("urllib3").setLevel("CRITICAL")  # its lines quote URLs, and with them pinIds


class GunicornLogger(Logger):  # type: ignore[misc]
    """Writes gunicorn's own lines in the same form, and no access log: each request has its line already."""

    def setup(self, cfg: Any) -> None:
        """Called at the start, and when the configuration is read again."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True


class _WriterHandler(logging.Handler):
    def __init__(self, writer: NonBlockingWriter) -> None:
        super().__init__()
        self._writer = writer

    def handle(self, record: logging.LogRecord) -> bool:
        """Handle without a lock: the writer takes lines from every thread, and from the event loop itself."""
        if wanted := bool(self.filter(record)):
            self.emit(record)
        return wanted

    def emit(self, record: logging.LogRecord) -> None:
        if request := current_or_none():
            record.__dict__.update(request.ids())
        if not self._writer.write(record):
            metrics.LOG_LINES_DROPPED.inc()


def _line(formatter: logging.Formatter, renderer: Processor, entry: Any) -> str:
    try:
        if isinstance(entry, logging.LogRecord):
            return formatter.format(entry)
        return str(renderer(None, "", {"timestamp": _at(entry[0]), **entry[1]}))
    except Exception as e:
        return json.dumps({"event": "log_line_failed", "error": type(e).__name__})


def _in_order(_: Any, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event.pop("_record")
    del event["_from_structlog"]
    head = {"event": event.pop("event"), "level": record.levelname.lower(), "logger": record.name}
    return {"timestamp": _at(record.created), **head, **event}


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _json() -> Processor:
    encode = json.JSONEncoder(default=str).encode  # json.dumps would make an encoder for each line
    return lambda _, __, event: encode(event)


def _console() -> Processor:
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    # A program wants each member in each line; a person wants to read.
    return lambda logger, name, event: render(logger, name, {k: v for k, v in event.items() if v is not None})


def _notice(dropped: int) -> str:
    line = {"event": "log_lines_dropped", "level": "error", "logger": "otp.log", "count": dropped}
    return json.dumps({"timestamp": _at(time.time()), **line})


def _console_notice(dropped: int) -> str:
    return f"{dropped} log lines were dropped: the output was blocked"
