"""One line for each request, at its end, and the counts and the span of it."""

import atexit
import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import gevent
from werkzeug.datastructures import EnvironHeaders

from config import Settings
from otp.errors import OtpError
from otp.send_limits.prices import MILLION
from otp.telemetry import logs, metrics, tracing
from otp.telemetry.masking import Mask, Masked
from otp.telemetry.metrics import MetricBatch
from otp.telemetry.outcomes import PAID, SENDS, outcome
from otp.telemetry.record import Record

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger("otp.request")

A_MOMENT = 0.1  # seconds; what a killed worker has not told is lost
OTHER = "other"  # every path that is no route of ours


def unreadable(request_id: str, status: int, code: str) -> None:
    """Tell of a request that never became one, for it was no HTTP."""
    metrics.REQUESTS.labels(OTHER, str(status), code).inc()
    log.info("request", extra={"route": OTHER, "status": status, "code": code, "request_id": request_id})


class _Ended(NamedTuple):
    """A request that has ended, at `at` (Unix seconds), after `taken` seconds."""

    record: Record
    route: str
    status: int
    taken: float
    at: float


class RequestLog:
    """Tells of what has ended a moment later, many at a time: between two requests, it costs several times as much."""

    def __init__(self, settings: Settings) -> None:
        self._mask = Mask(settings.log_salt.get_secret_value())
        self._prices = settings.prices
        self._in_flight = 0
        self._ended: list[_Ended] = []
        self._telling: gevent.Greenlet | None = None
        atexit.register(self.tell)
        metrics.built()
        for period, amount in zip(("day", "month"), settings.budgets, strict=True):
            if amount:
                metrics.BUDGET.labels(period, self._prices.currency).set(amount / MILLION)

    def begin(self, known: Record, environ: "WSGIEnvironment") -> None:
        """A request begins."""
        if tracing.on():
            known.span = tracing.start_request(environ["REQUEST_METHOD"], EnvironHeaders(environ))
        self._in_flight += 1
        self._soon()

    def end(self, known: Record, environ: "WSGIEnvironment", status: int) -> None:
        """It has its answer."""
        rule = environ["werkzeug.request"].url_rule
        route = rule.rule if rule else OTHER
        self._ended.append(_Ended(known, route, status, time.perf_counter() - known.started, time.time()))
        if known.span:
            name = f"{environ['REQUEST_METHOD']} {route}" if rule else OTHER  # no word of the caller's
            spoken = {"http.route": route, "http.response.status_code": status, "otp.outcome": outcome(known, route)}
            tracing.end(known.span, known.code if status >= 500 else "", spoken, name)

    def leave(self) -> None:
        """It is over, with an answer or without one."""
        self._in_flight -= 1
        self._soon()

    def tell(self) -> None:
        """Tell of all that has ended until now."""
        self._telling = None
        ended, self._ended = self._ended, []
        metrics.IN_FLIGHT.set(self._in_flight)
        tally = MetricBatch()
        for each in ended:
            to, became = self._mask.of(each.record.to), outcome(each.record, each.route)
            self._count(tally, each, to, became)
            level = logging.WARNING if each.status >= 500 else logging.INFO
            if log.isEnabledFor(level):
                logs.write(each.at, _facts(level, each, to, became))
        tally.tell()

    def _soon(self) -> None:
        if not self._telling:
            self._telling = gevent.spawn_later(A_MOMENT, self.tell)

    def _count(self, tally: MetricBatch, ended: _Ended, to: Masked, became: str) -> None:
        known, route = ended.record, ended.route
        for seconds in known.redis:
            tally.observe(metrics.REDIS_SECONDS, seconds=seconds)
        for operation, seconds in known.provider:
            tally.observe(metrics.PROVIDER_SECONDS, operation, seconds=seconds)
        tally.observe(metrics.REQUEST_SECONDS, route, seconds=ended.taken)
        tally.count(metrics.REQUESTS, route, str(ended.status), known.code or "ok")
        if became == "limited" and known.error and known.error.reason:
            tally.count(metrics.REFUSALS, known.error.reason)
        if to.country and route == "/verify-otp":
            tally.count(metrics.VERIFIES, to.country, became)
        if to.country and route in SENDS:
            self._count_send(tally, known.channel, to.country, became)

    def _count_send(self, tally: MetricBatch, channel: str, country: str, became: str) -> None:
        tally.count(metrics.SENDS, channel, country, became)
        if became in PAID and (price := self._prices.of(channel, country)):
            tally.count(metrics.SPEND, self._prices.currency, country, by=price / MILLION)


def _facts(level: int, ended: _Ended, to: Masked, became: str) -> dict[str, Any]:
    known = ended.record
    return {
        "event": "request",
        "level": logging.getLevelName(level).lower(),
        "logger": log.name,
        **known.ids(),
        "route": ended.route,
        "status": ended.status,
        "code": known.code or "ok",
        "outcome": became,
        "reason": _reason(known.error),
        "duration_ms": _milliseconds(ended.taken),
        "provider_ms": _milliseconds(sum(taken for _, taken in known.provider)) if known.provider else None,
        "redis_ms": _milliseconds(sum(known.redis)),
        "client": known.client or None,
        "channel": known.channel or None,
        "country": to.country,
        to.kind: to.shown,
        f"{to.kind}_fingerprint": to.fingerprint,
    }


def _reason(error: OtpError | None) -> str | None:
    return (error and str(error.reason or error.detail)) or None


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
