"""What is counted, for Prometheus. No label holds a phone, a PIN or an id, and each has a bounded set of values.

With PROMETHEUS_MULTIPROC_DIR in the environment when this is loaded, each process counts into files of its own there.
"""

import collections
import platform
from bisect import bisect_left
from collections import defaultdict
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from otp import VERSION

_QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_SLOW = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

REQUESTS = Counter("otp_requests", "Requests, by route, status and code.", ["route", "status", "code"])
REQUEST_SECONDS = Histogram("otp_request_seconds", "How long requests took.", ["route"], buckets=_SLOW)
IN_FLIGHT = Gauge("otp_requests_in_flight", "Requests that are being answered.", multiprocess_mode="livesum")
SENDS = Counter("otp_sends", "Sends, by outcome.", ["channel", "country", "outcome"])
VERIFIES = Counter("otp_verifies", "Verifies, by outcome.", ["country", "outcome"])
TEST_NUMBERS = Counter("otp_test_numbers", "Sends and verifies of test numbers, which get no message.", ["operation"])
DELIVERIES = Counter("otp_deliveries", "Messages, by what Infobip reported.", ["channel", "country", "status"])
REFUSALS = Counter("otp_refusals", "Requests that were refused, by the reason.", ["reason"])
SPEND = Counter("otp_spend", "What messages cost that may have gone out, as budgets count.", ["currency", "country"])
CHARGED = Counter("otp_charged", "What Infobip charged, by its reports.", ["channel", "country", "currency"])
BUDGET = Gauge("otp_budget", "What may be spent in a period.", ["period", "currency"], multiprocess_mode="max")
PROVIDER_SECONDS = Histogram("otp_provider_seconds", "How long calls to Infobip took.", ["operation"], buckets=_SLOW)
PROVIDER_ERRORS = Counter("otp_provider_errors", "Calls to Infobip that failed.", ["operation", "kind"])
REDIS_SECONDS = Histogram("otp_redis_seconds", "How long round trips to Redis took.", buckets=_QUICK)
REDIS_ERRORS = Counter("otp_redis_errors", "Round trips to Redis that failed.", ["kind"])
ALERTS = Counter("otp_alerts", "Alerts that were sent or logged.", ["type"])
LOG_LINES_DROPPED = Counter("otp_log_lines_dropped", "Log lines dropped because the output was blocked.")
BUILD = Gauge("otp_build_info", "The version that runs.", ["version", "python"], multiprocess_mode="max")


class MetricBatch:
    """Adds up what many requests count, so that the metric's file is written once for all of them."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[Any, ...], float] = defaultdict(float)
        self._observed: defaultdict[tuple[Any, ...], list[float]] = defaultdict(list)

    def count(self, counter: Counter, *labels: str, by: float = 1) -> None:
        """`counter.labels(*labels).inc(by)`, with the next flush."""
        self._counts[counter, *labels] += by

    def observe(self, histogram: Histogram, *labels: str, seconds: float) -> None:
        """`histogram.labels(*labels).observe(seconds)`, with the next flush."""
        self._observed[histogram, *labels].append(seconds)

    def flush(self) -> None:
        """Write all of it."""
        for (counter, *labels), by in self._counts.items():
            counter.labels(*labels).inc(by)
        for (histogram, *labels), seconds in self._observed.items():
            _observe_all(histogram.labels(*labels) if labels else histogram, seconds)


def _observe_all(histogram: Any, seconds: list[float]) -> None:
    """The same as a `histogram.observe` for each, which would write the sum and a bucket every time."""
    histogram._sum.inc(sum(seconds))
    for bucket, times in collections.Counter(bisect_left(histogram._upper_bounds, each) for each in seconds).items():
        histogram._buckets[bucket].inc(times)


def set_version() -> None:
    """Publish the version that this process runs."""
    BUILD.labels(VERSION, platform.python_version()).set(1)
