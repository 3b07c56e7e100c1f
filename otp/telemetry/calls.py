"""Times every round trip to Redis and every call to Infobip, counts their failures, and traces them."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from otp.errors import OtpError, PhoneNumberUnreachable, PinGone
from otp.request_record import current, current_or_none
from otp.telemetry import metrics, outcomes, tracing

log = logging.getLogger("otp.redis")

_NO_FAILURES = (PinGone, PhoneNumberUnreachable)  # Infobip has answered as it should

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


def time_redis_call(call: Callable[[], _R], unreachable: tuple[type[BaseException], ...]) -> _R:
    """Make a round trip by `call`; `unreachable` are the errors that mean that no server answers."""
    span = tracing.start("redis", {"db.system.name": "redis"}) if tracing.is_on() else None
    started, failed = time.perf_counter(), ""
    try:
        result = call()
    except BaseException as e:
        failed = type(e).__name__
        if isinstance(e, Exception):
            _redis_state.note_failure(started, failed, isinstance(e, unreachable))
            metrics.REDIS_ERRORS.labels(failed).inc()
        raise
    else:
        _redis_state.note_reply(started)
        return result
    finally:
        _note_redis_seconds(time.perf_counter() - started)
        tracing.end(span, failed)


def _note_redis_seconds(seconds: float) -> None:
    if record := current_or_none():
        record.redis.append(seconds)
    else:
        metrics.REDIS_SECONDS.observe(seconds)


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
                if not isinstance(e, _NO_FAILURES):
                    failed = outcomes.failure(e)
                    metrics.PROVIDER_ERRORS.labels(operation, failed).inc()
                raise
            finally:
                current().provider.append((operation, time.perf_counter() - started))
                tracing.end(span, failed)

        return timed

    return decorate
