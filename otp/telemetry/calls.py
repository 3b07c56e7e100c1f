"""Every round trip to Redis and every call to Infobip: how long it took, how it failed, and the span of it."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

from otp.errors import OtpError, PinGone
from otp.telemetry import metrics, outcomes, tracing
from otp.telemetry.record import current, running

log = logging.getLogger("otp.redis")

_P = ParamSpec("_P")
_R = TypeVar("_R")


class RedisStateLog:
    """Tells when Redis is gone and when it is back, once each. An answer that is an error is told of once a minute."""

    def __init__(self) -> None:
        self._gone = False
        self._changed = 0.0
        self._refused = -60.0

    def answered(self, started: float) -> None:
        """It did, to what was asked at `started`. What was asked before the last change proves nothing."""
        if self._gone and started > self._changed:
            self._gone, self._changed = False, time.perf_counter()
            log.warning("redis_back")

    def failed(self, started: float, name: str, is_unreachable: bool) -> None:
        """It did not, or with an error of this name."""
        now = time.perf_counter()
        if not is_unreachable:
            if now - self._refused > 60:
                self._refused = now
                log.error("redis_refused", extra={"error": name})
        elif not self._gone and started > self._changed:
            self._gone, self._changed = True, now
            log.error("redis_gone", extra={"error": name})


_connectivity = RedisStateLog()


class TimedRedisCall:
    """A round trip, as a context manager: quicker than a generator, for there are three in a request.

    Args:
        unreachable: the errors that say that nobody answers.
    """

    __slots__ = ("_span", "_started", "_unreachable")

    def __init__(self, unreachable: tuple[type[BaseException], ...]) -> None:
        self._unreachable = unreachable

    def __enter__(self) -> None:
        self._span = tracing.start("redis", {"db.system.name": "redis"}) if tracing.on() else None
        self._started = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        taken = time.perf_counter() - self._started
        if known := running():
            known.redis.append(taken)
        else:
            metrics.REDIS_SECONDS.observe(taken)
        if error is None:
            _connectivity.answered(self._started)
        elif isinstance(error, Exception):
            name = type(error).__name__
            _connectivity.failed(self._started, name, isinstance(error, self._unreachable))
            metrics.REDIS_ERRORS.labels(name).inc()
        if self._span:
            tracing.end(self._span, kind.__name__ if kind else "")


def timed_infobip_call(operation: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Marks a function as a call to Infobip, from the request to what its answer means."""

    def decorate(call: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(call)
        def timed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with _TimedInfobipCall(operation):
                return call(*args, **kwargs)

        return timed

    return decorate


class _TimedInfobipCall:
    """Infobip was asked for this `operation`. Not a generator, as `TimedRedisCall` is none."""

    __slots__ = ("_operation", "_span", "_started")

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        operation = self._operation
        self._span = tracing.start(f"infobip {operation}", {"otp.operation": operation}) if tracing.on() else None
        self._started = time.perf_counter()

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        current().provider.append((self._operation, time.perf_counter() - self._started))
        failed = ""
        if isinstance(error, OtpError) and not isinstance(error, PinGone):  # that it knows no such PIN is an answer
            failed = outcomes.failure(error)
            metrics.PROVIDER_ERRORS.labels(self._operation, failed).inc()
        tracing.end(self._span, failed)
