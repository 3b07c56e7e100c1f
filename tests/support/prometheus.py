"""A real Prometheus that scrapes one service once a second, and the dashboard's own queries."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from sandbox.free_port import free_port
from tests.support.programs import program
from tests.support.running import ROOT, answers

PANELS: list[dict[str, Any]] = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())["panels"]


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    @contextmanager
    def started(cls, directory: Path, target: int, every: str = "1s") -> Iterator["Prometheus"]:
        """Scrape `target`, a port of this machine, and keep the samples in `directory`."""
        port, configuration = free_port(), directory / "prometheus.yml"
        scrape = {"job_name": "otp", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        seen = {"global": {"scrape_interval": every, "scrape_timeout": every}, "scrape_configs": [scrape]}
        configuration.write_text(json.dumps({**seen, "rule_files": [str(ROOT / "deploy/alerts.yml")]}))
        command = [program("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'tsdb'}"]
        with (directory / "prometheus.log").open("wb") as log:
            process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            assert answers(f"http://127.0.0.1:{port}/-/ready", process), (directory / "prometheus.log").read_text()
            yield cls(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(20)

    def ask(self, expression: str, window: str, **between: float) -> list[dict[str, Any]]:
        """Return the series of a query: now, or with start, end and step over that time."""
        path = "query_range" if between else "query"
        given: dict[str, str | float] = {"query": expression.replace("$__rate_interval", window), **between}
        answer = requests.get(f"{self.url}/api/v1/{path}", given, timeout=10).json()
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result
