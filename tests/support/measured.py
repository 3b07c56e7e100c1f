"""The metrics of a service."""

from functools import cache

import requests
from prometheus_client.parser import text_string_to_metric_families

from sandbox.free_port import free_port
from tests.support.running import Service


@cache
def metrics_port(of: str = "") -> int:
    """Return the metrics port of a service that several tests share; it is chosen just before the service starts."""
    return free_port()


class Measured:
    """A service and the port of its metrics."""

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{port}/metrics"

    def text(self) -> str:
        answer = requests.get(self.url, timeout=5)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return answer.text

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of all samples that have these labels."""
        families = text_string_to_metric_families(self.text())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())
