"""One line for each request, when it is over, with its counts and its span."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple
from wsgiref.types import WSGIEnvironment

import gevent
from werkzeug.datastructures import EnvironHeaders

from otp import shutdown
from otp.errors import OtpError, Reason
from otp.request_record import Record
from otp.requester import UNKNOWN
from otp.telemetry import logs, metrics, tracing
from otp.telemetry.masking import Mask, Masked, mask_address
from otp.telemetry.metrics import MetricBatch
from otp.telemetry.outcomes import outcome

log = logging.getLogger("otp.request")

FLUSH_INTERVAL = 0.1  # seconds; a worker that is killed loses what it has not flushed
FAILED_VERIFIES = {Reason.WRONG_PIN, Reason.NO_PIN, Reason.GONE_PIN, Reason.FAILURE_LIMIT}  # they are the outcomes, too
OTHER = "other"  # the route of every path that the service does not have


def log_unreadable(request_id: str, status: int, code: str) -> None:
    """Log and count a request that could not be read as HTTP."""
    metrics.REQUESTS.labels(OTHER, str(status), code).inc()
    log.info("request", extra={"route": OTHER, "status": status, "code": code, "request_id": request_id})


class _Finished(NamedTuple):
    """A request that was answered at `at` (Unix seconds), after `seconds`."""

    record: Record
    route: str
    status: int
    seconds: float
    at: float


class RequestLog:
    """Logs and counts finished requests in batches every 100 ms: one by one, it would cost several times as much.

    Args:
        log_salt: see `Mask`.
        currency: of the prices and the budgets.
        on_failed_verify: called for the recipient and for the address of a failed verify, with the kind, the
            fingerprint and the masked form; must not block. A client app's own address is not reported.
        budgets: what may be spent in a `day` and in a `month`, in the currency's unit; 0 where there is no budget.
    """

    def __init__(
        self,
        log_salt: str,
        on_failed_verify: Callable[[Literal["recipient", "address"], str, str], None],
        currency: str = "",
        budgets: Mapping[str, float] | None = None,
    ) -> None:
        self._mask = Mask(log_salt)
        self._on_failed_verify = on_failed_verify
        self._currency = currency
        self._in_flight = 0
        self._finished: list[_Finished] = []
        self._flushing: gevent.Greenlet | None = None
        shutdown.add(shutdown.Step.FLUSH_REQUEST_LOG, self.flush)
        metrics.set_version()
        for period, amount in (budgets or {}).items():
            if amount:
                metrics.BUDGET.labels(period, currency).set(amount)

    def begin(self, record: Record, environ: WSGIEnvironment) -> None:
        """A request begins."""
        if tracing.is_on():
            record.span = tracing.start_request(environ["REQUEST_METHOD"], EnvironHeaders(environ))
        self._in_flight += 1
        self._schedule_flush()

    def respond(self, record: Record, environ: WSGIEnvironment, status: int) -> None:
        """Its response begins."""
        rule = environ["werkzeug.request"].url_rule
        route = rule.rule if rule else OTHER
        self._finished.append(_Finished(record, route, status, time.perf_counter() - record.started, time.time()))
        if record.span:
            name = f"{environ['REQUEST_METHOD']} {route}" if rule else OTHER  # nothing that the caller has written
            attributes = {"http.route": route, "http.response.status_code": status, "otp.outcome": outcome(record)}
            tracing.end(record.span, record.code if status >= 500 else "", attributes, name)

    def end(self) -> None:
        """The request is over, with a response or without one."""
        self._in_flight -= 1
        self._schedule_flush()

    def flush(self) -> None:
        """Log and count all requests that have finished until now."""
        self._flushing = None
        finished, self._finished = self._finished, []
        metrics.IN_FLIGHT.set(self._in_flight)
        batch, lines = MetricBatch(), []
        for each in finished:
            recipient, result = self._mask.of(each.record.recipient), outcome(each.record)
            self._count(batch, each, recipient, result)
            if each.record.operation == "verify" and result in FAILED_VERIFIES:
                self._report_failed_verify(each.record, recipient)
            level = _level(each)
            if log.isEnabledFor(level):
                lines.append((each.at, _line(level, each, recipient, result)))
        try:
            batch.flush()  # first, so that a request is counted before its line is written
        finally:
            for at, line in lines:
                logs.write(at, line)

    def _schedule_flush(self) -> None:
        if not self._flushing:
            self._flushing = gevent.spawn_later(FLUSH_INTERVAL, self.flush)

    def _report_failed_verify(self, record: Record, recipient: Masked) -> None:
        self._on_failed_verify("recipient", recipient.fingerprint or "", recipient.masked or "")
        if record.client_ip not in {"", UNKNOWN} and not record.is_client_app:
            address = self._mask.fingerprint(record.client_ip)
            self._on_failed_verify("address", address, mask_address(record.client_ip))

    def _count(self, batch: MetricBatch, finished: _Finished, recipient: Masked, result: str) -> None:
        record, route = finished.record, finished.route
        for seconds in record.redis:
            batch.observe(metrics.REDIS_SECONDS, seconds=seconds)
        for operation, seconds in record.provider:
            batch.observe(metrics.PROVIDER_SECONDS, operation, seconds=seconds)
        batch.observe(metrics.REQUEST_SECONDS, route, seconds=finished.seconds)
        batch.count(metrics.REQUESTS, route, str(finished.status), record.code or "ok")
        if result == "limited" and record.error and record.error.reason:
            batch.count(metrics.REFUSALS, record.error.reason)
        if recipient.country:
            self._count_operation(batch, record, recipient.country, result)

    def _count_operation(self, batch: MetricBatch, record: Record, country: str, result: str) -> None:
        if record.operation == "verify":
            batch.count(metrics.VERIFIES, country, result)
        if record.operation == "send":
            batch.count(metrics.SENDS, record.channel, country, result)
        if record.is_test:
            batch.count(metrics.TEST_NUMBERS, record.operation)
        if record.cost:
            batch.count(metrics.SPEND, self._currency, country, by=record.cost)


def _level(finished: _Finished) -> int:
    """A probe comes every few seconds, and is of interest only where it fails."""
    if finished.status >= 500:
        return logging.WARNING
    return logging.DEBUG if finished.record.operation == "probe" else logging.INFO


def _line(level: int, finished: _Finished, recipient: Masked, result: str) -> dict[str, Any]:
    record = finished.record
    return {
        "event": "request",
        "level": logging.getLevelName(level).lower(),
        "logger": log.name,
        **record.ids(),
        "route": finished.route,
        "status": finished.status,
        "code": record.code or "ok",
        "outcome": result,
        "reason": _reason(record.error),
        "duration_ms": _milliseconds(finished.seconds),
        "provider_ms": _milliseconds(sum(taken for _, taken in record.provider)) if record.provider else None,
        "redis_ms": _milliseconds(sum(record.redis)),
        "client": record.client or None,
        "channel": record.channel or None,
        **({"test": True} if record.is_test else {}),
        "country": recipient.country,
        recipient.kind: recipient.masked,
        f"{recipient.kind}_fingerprint": recipient.fingerprint,
    }


def _reason(error: OtpError | None) -> str | None:
    return (error and str(error.reason or error.detail)) or None


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
