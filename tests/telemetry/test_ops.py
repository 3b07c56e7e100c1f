"""The files for Prometheus and Grafana: alerts fire when they must, and every query of the dashboard has data."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis
from prometheus_client.metrics import MetricWrapperBase

from otp import errors
from otp.telemetry import metrics, outcomes
from otp.web.error_responses import STATUS
from sandbox.free_port import free_port
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.pages import PAGES
from tests.support.programs import program
from tests.support.prometheus import PANELS, Prometheus
from tests.support.running import ROOT, Service
from tests.support.upstream import Upstream

PRICES = '{"currency": "EUR", "default": 0.1}'
QUIET = {
    "Redis errors",
    "Alerts of the service, by type",
    "Charged by Infobip in an hour, by country",
}  # without a problem, these have no data


def test_the_alerts_fire_when_they_must() -> None:
    rule_tests = [f"tests/support/{name}_test.yml" for name in ("alerts", "alerts_of_days")]
    for command in (["check", "rules", "deploy/alerts.yml"], ["test", "rules", *rule_tests]):
        ran = subprocess.run(
            [program("promtool", "prometheus"), *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_metric_outcome_and_reason_is_in_the_docs() -> None:
    text = PAGES["docs/operations.md"]
    exported = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    names = {family.name for metric in exported for family in metric.collect()}
    assert len(names) == len(exported) == 18
    assert {name for name in names if f"`{name}" not in text} == set()
    words = {outcomes.failure(error()) for error in STATUS if error is not errors.InvalidOtp}
    assert {word for word in (*words, *errors.Reason) if f"`{word}`" not in text} == set()


def test_a_send_that_may_have_gone_out_stays_counted() -> None:
    assert {error for error in STATUS if error.may_have_sent and not error.keeps_reservation} == set()
    assert {error for error in STATUS if error.keeps_reservation and not error.may_have_sent} == {
        errors.StoreUnavailable,
        errors.PhoneNumberUnreachable,  # the lookup is charged
    }


def test_every_panel_of_the_dashboard_has_data(
    tmp_path: Path, upstream: Upstream, redis_url: str, database: redis.Redis
) -> None:
    port, numbers = free_port(), iter(f"+49151{n}" for n in range(62000000, 62010000))
    settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url, "METRICS_PORT": str(port)}
    settings |= {"SMS_PRICES": PRICES, "DAILY_BUDGET": "1000"}
    empty = {panel["title"]: panel["targets"][0]["expr"] for panel in PANELS if panel["title"] not in QUIET}
    with Service.started(tmp_path, settings) as service, Prometheus.started(tmp_path, port) as prometheus:

        def all_have_data() -> bool:
            log_people_in(service, upstream, numbers)
            for title, expression in list(empty.items()):
                if any(float(series["value"][1]) > 0 for series in prometheus.ask(expression, "20s")):
                    del empty[title]
            return not empty

        eventually(all_have_data)
        assert prometheus.ask('up{job="otp"}', "")[0]["value"][1] == "1"


def log_people_in(service: Service, upstream: Upstream, numbers: Iterator[str]) -> None:
    """Send to a person whom Infobip refuses, and twice to a person who then verifies."""
    upstream.script.append(up.error(400, "BAD_REQUEST"))
    service.send(next(numbers))
    phone = next(numbers)
    for _ in range(2):
        service.send(phone)
    service.verify(phone, "123456")
