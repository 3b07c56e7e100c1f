"""One line for each request, at its end, and the counts and the span of it."""

import atexit
import logging
import time
from typing import Any, NamedTuple

import gevent
from flask import Flask, Response, g, request

from config import Settings
from spending.prices import MILLION
from telemetry import logs, metrics, record, tracing
from telemetry.masking import Mask, Masked
from telemetry.metrics import Tally
from telemetry.outcomes import PAID, SENDS, outcome
from telemetry.record import Record

log = logging.getLogger("otp.request")

A_MOMENT = 0.1  # seconds; what a killed worker has not told is lost
OTHER = "other"  # every path that is no route of ours


def observe(app: Flask, settings: Settings) -> None:
    """Have each request of `app` told at its end. Register it behind what sets `g.request_id`."""
    observer = _Observer(settings)
    app.before_request(observer.begin)
    app.after_request(observer.end)
    app.teardown_request(observer.leave)


def unreadable(request_id: str, status: int, code: str) -> None:
    """Tell of a request that never became one, for it was no HTTP."""
    metrics.REQUESTS.labels(OTHER, str(status), code).inc()
    log.info("request", extra={"route": OTHER, "status": status, "code": code, "request_id": request_id})


class _Ended(NamedTuple):
    """A request that has ended, at `at` (Unix seconds), after `taken` seconds."""

    record: Record
    route: str
    status: int
    client: str
    taken: float
    at: float


class _Observer:
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

    def begin(self) -> None:
        g.record = record.begin(g.request_id)
        if tracing.on():
            name = f"{request.method} {request.url_rule.rule}" if request.url_rule else OTHER  # no word of the caller's
            g.record.span = tracing.start_request(name, request.headers)
        self._in_flight += 1
        self._soon()

    def end(self, response: Response) -> Response:
        known: Record = g.record
        route, status = request.url_rule.rule if request.url_rule else OTHER, response.status_code
        taken = time.perf_counter() - known.started
        self._ended.append(_Ended(known, route, status, g.client, taken, time.time()))
        if known.span:
            spoken = {"http.route": route, "http.response.status_code": status, "otp.outcome": outcome(known, route)}
            tracing.end(known.span, known.code if status >= 500 else "", spoken)
        return response

    def leave(self, _: BaseException | None) -> None:
        if g.pop("record", None):
            self._in_flight -= 1
            self._soon()
            record.end()

    def tell(self) -> None:
        """Tell of all that has ended until now."""
        self._telling = None
        ended, self._ended = self._ended, []
        metrics.IN_FLIGHT.set(self._in_flight)
        tally = Tally()
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

    def _count(self, tally: Tally, ended: _Ended, to: Masked, became: str) -> None:
        known, route = ended.record, ended.route
        for seconds in known.redis:
            tally.observe(metrics.REDIS_SECONDS, seconds=seconds)
        for operation, seconds in known.provider:
            tally.observe(metrics.PROVIDER_SECONDS, operation, seconds=seconds)
        tally.observe(metrics.REQUEST_SECONDS, route, seconds=ended.taken)
        tally.count(metrics.REQUESTS, route, str(ended.status), known.code or "ok")
        if known.error is not None and became == "limited":
            tally.count(metrics.REFUSALS, known.error.reason)
        if to.country and route == "/verify-otp":
            tally.count(metrics.VERIFIES, to.country, became)
        if to.country and route in SENDS:
            self._count_send(tally, known.channel, to.country, became)

    def _count_send(self, tally: Tally, channel: str, country: str, became: str) -> None:
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
        "reason": (known.error and known.error.reason) or None,
        "duration_ms": _milliseconds(ended.taken),
        "provider_ms": _milliseconds(sum(taken for _, taken in known.provider)) if known.provider else None,
        "redis_ms": _milliseconds(sum(known.redis)),
        "client": ended.client or None,
        "channel": known.channel or None,
        "country": to.country,
        to.kind: to.shown,
        f"{to.kind}_fingerprint": to.fingerprint,
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
