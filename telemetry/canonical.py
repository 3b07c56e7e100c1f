"""One line for each request, at its end, and the counts and the span of it."""

import logging
import time
from typing import Any

from flask import Flask, Response, g, request

from config import Settings
from spending.prices import MILLION
from telemetry import metrics, record, tracing
from telemetry.masking import Mask, MaskedPhone
from telemetry.outcomes import PAID, outcome
from telemetry.record import Record

log = logging.getLogger("otp.request")

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


class _Observer:
    def __init__(self, settings: Settings) -> None:
        self._mask = Mask(settings.log_salt.get_secret_value())
        self._prices = settings.sms_prices
        metrics.built()
        for period, amount in zip(("day", "month"), settings.budgets, strict=True):
            if self._prices and amount:
                metrics.BUDGET.labels(period, self._prices.currency).set(amount / MILLION)

    def begin(self) -> None:
        g.record = record.begin(g.request_id)
        name = f"{request.method} {request.url_rule.rule}" if request.url_rule else OTHER  # not any word for a method
        g.record.span = tracing.start_request(name, request.headers)
        metrics.IN_FLIGHT.inc()

    def leave(self, _: BaseException | None) -> None:
        if g.pop("record", None):
            metrics.IN_FLIGHT.dec()
            record.end()

    def end(self, response: Response) -> Response:
        known: Record = g.record
        route = request.url_rule.rule if request.url_rule else OTHER
        phone, became = self._mask.of(known.phone), outcome(known, route)
        taken = time.perf_counter() - known.started
        self._count(known, route, phone, became)
        metrics.REQUESTS.labels(route, str(response.status_code), known.code or "ok").inc()
        metrics.REQUEST_SECONDS.labels(route).observe(taken)
        facts = _facts(known, route, response.status_code, phone, became)
        log.log(
            logging.WARNING if response.status_code >= 500 else logging.INFO,
            "request",
            extra={**facts, "duration_ms": _milliseconds(taken)},
        )
        spoken = {"http.route": route, "http.response.status_code": response.status_code, "otp.outcome": became}
        tracing.end(known.span, known.code if response.status_code >= 500 else "", spoken)
        return response

    def _count(self, known: Record, route: str, phone: MaskedPhone, became: str) -> None:
        if known.error is not None and became == "limited":
            metrics.REFUSALS.labels(known.error.reason).inc()
        if route == "/verify-otp" and phone.country:
            metrics.VERIFIES.labels(phone.country, became).inc()
        if route == "/send-otp" and phone.country:
            metrics.SENDS.labels("sms", phone.country, became).inc()
            if self._prices and became in PAID:
                spent = self._prices.of(phone.country) / MILLION
                metrics.SPEND.labels(self._prices.currency, phone.country).inc(spent)


def _facts(known: Record, route: str, status: int, phone: MaskedPhone, became: str) -> dict[str, Any]:
    return {
        "route": route,
        "status": status,
        "code": known.code or "ok",
        "outcome": became,
        "reason": known.error.reason if known.error and known.error.reason else None,
        "provider_ms": None if known.provider is None else _milliseconds(known.provider),
        "redis_ms": _milliseconds(known.redis),
        "client": g.client or None,
        "country": phone.country,
        "phone": phone.shown,
        "phone_fingerprint": phone.fingerprint,
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
