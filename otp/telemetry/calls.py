"""Times every round trip to Redis and every call to Infobip, counts their failures, and traces them."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

from otp.errors import OtpError, PinGone
from otp.telemetry import metrics, outcomes, tracing
from otp.telemetry.record import current, current_or_none

log = logging.getLogger("otp.redis")

_P = ParamSpec("_P")
_R = TypeVar("_R")


class RedisStateLog:
    """Logs when Redis is gone and when it is back, once each, and a reply that is an error once a minute."""

    def __init__(self) -> None:
        self._gone = False
        self._changed = 0.0
        self._refusal_logged = -60.0

    def note_reply(self, started: float) -> None:
        """Redis has replied to commands sent at `started`. Those sent before the last change prove nothing."""
        if self._gone and started > self._changed:
            self._gone, self._changed = False, time.perf_counter()
            log.warning("redis_back")

    def note_failure(self, started: float, name: str, is_unreachable: bool) -> None:
        """Redis has not replied, or with an error of this name."""
        now = time.perf_counter()
        if not is_unreachable:
            if now - self._refusal_logged > 60:
                self._refusal_logged = now
                log.error("redis_refused", extra={"error": name})
        elif not self._gone and started > self._changed:
            self._gone, self._changed = True, now
            log.error("redis_gone", extra={"error": name})


_redis_state = RedisStateLog()


class TimedRedisCall:
    """Times a round trip. A class, for a generator as a context manager is slower, and a request has three of these.

    Args:
        unreachable: the errors that mean that no server answers.
    """

    __slots__ = ("_span", "_started", "_unreachable")

    def __init__(self, unreachable: tuple[type[BaseException], ...]) -> None:
        self._unreachable = unreachable

    def __enter__(self) -> None:
        self._span = tracing.start("redis", {"db.system.name": "redis"}) if tracing.is_on() else None
        self._started = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        taken = time.perf_counter() - self._started
        if record := current_or_none():
            record.redis.append(taken)
        else:
            metrics.REDIS_SECONDS.observe(taken)
        if error is None:
            _redis_state.note_reply(self._started)
        elif isinstance(error, Exception):
            name = type(error).__name__
            _redis_state.note_failure(self._started, name, isinstance(error, self._unreachable))
            metrics.REDIS_ERRORS.labels(name).inc()
        if self._span:
            tracing.end(self._span, kind.__name__ if kind else "")


def timed_infobip_call(operation: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorate a function that calls Infobip and reads the response. `operation` is a label of the metrics."""

    def decorate(call: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(call)
        def timed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            span = tracing.start(f"infobip {operation}", {"otp.operation": operation}) if tracing.is_on() else None
            started, failed = time.perf_counter(), ""
            try:
                return call(*args, **kwargs)
            except OtpError as e:
                if not isinstance(e, PinGone):  # no such PIN is a proper response
                    failed = outcomes.failure(e)
                    metrics.PROVIDER_ERRORS.labels(operation, failed).inc()
                raise
            finally:
                current().provider.append((operation, time.perf_counter() - started))
                tracing.end(span, failed)

        return timed

    return decorate
