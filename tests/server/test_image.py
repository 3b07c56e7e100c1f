"""The image starts: the tests run its commands in a copy of its file tree, on the Python that runs the tests."""

import ast
import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import MagicMock, patch

import check_jsonschema
import jsonschema
import pytest
import redis
import requests
import yaml

from sandbox.free_port import free_port
from sandbox.quirks import Quirks
from tests.documents.test_deploy import compose
from tests.support import leaks
from tests.support.command import eventually
from tests.support.image import Image
from tests.support.running import ACCOUNT, ROOT, Sandbox, Service
from tests.telemetry.test_tracing import Collector

SANDBOX_PAGE = (ROOT / "docs/sandbox.md").read_text()
WORKFLOW_SCHEMA = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor/github-workflows.json"


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with with_its_code_unchanged(Image(tmp_path_factory.mktemp("image"))) as made:
        yield made


@contextmanager
def with_its_code_unchanged(image: Image) -> Iterator[Image]:
    yield image
    assert image.new_files() == set(), "a container may not write its code"


def test_the_image_starts_sends_and_stops(
    laid_out: Image, tmp_path: Path, database: redis.Redis, redis_url: str, sandbox: Sandbox, phone: str
) -> None:
    port = str(free_port())
    settings = {**ACCOUNT, "INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "PORT": port}
    settings |= {"METRICS_PORT": str(free_port())}
    leaks.note_settings(settings)
    log = tmp_path / "log"
    with log.open("wb") as output, laid_out.started(laid_out.start_command(), output, **settings) as process:
        service = Service(process, int(port), log)
        service.wait_until_up(2)
        assert laid_out.run(laid_out.health_check(), PORT=port) == 0
        assert service.send(phone).status_code == 200
        assert service.verify(phone, sandbox.pin(phone)).status_code == 200
        process.send_signal(signal.Signals[laid_out.stop_signal()])
        assert process.wait(60) == 0
    assert laid_out.run(laid_out.health_check(), PORT=port) == 1
    assert laid_out.run(["check"], **settings) == 0
    assert laid_out.run(["check", "--strict"], **settings) == 1
    assert laid_out.run(["check"], **{**settings, "PIN_ATTEMPTS": "0"}) == 1
    assert service.lines(event="start")
    assert "Traceback" not in service.log()
    assert "Warning" not in service.log()
    assert leaks.in_log(service.log()) == []


@pytest.mark.parametrize(
    ("bind", "reached", "refused"),
    [
        ("0.0.0.0", ["127.0.0.1", "127.0.0.2"], ["[::1]"]),
        ("::", ["[::1]", "127.0.0.1"], []),
        ("::1", ["[::1]"], ["127.0.0.1"]),
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.1", "[::1]"]),
    ],
)
def test_the_service_listens_on_the_configured_address(
    laid_out: Image, tmp_path: Path, redis_url: str, sandbox: Sandbox, bind: str, reached: list[str], refused: list[str]
) -> None:
    """So do the metrics, and the image's health check connects to that address."""
    port, metrics = free_port(), free_port()
    settings = {**ACCOUNT, "INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "BIND": bind}
    settings |= {"PORT": str(port), "METRICS_PORT": str(metrics)}
    leaks.note_settings(settings)
    log = tmp_path / "log"
    with log.open("wb") as output, laid_out.started(laid_out.start_command(), output, **settings) as process:
        Service(process, port, log, reached[0]).wait_until_up(2)
        assert laid_out.run(laid_out.health_check(), PORT=str(port), BIND=bind) == 0
        for host in reached:
            assert Service(process, port, log, host).verify("+14155552671", "1").headers["X-RateLimit-Remaining"]
            assert requests.get(f"http://{host}:{metrics}/metrics", timeout=5).status_code == 200
        for url in [f"http://{host}:{each}/metrics" for host in refused for each in (port, metrics)]:
            with pytest.raises(requests.ConnectionError):
                requests.get(url, timeout=5)
        process.terminate()
        assert process.wait(60) == 0


def test_the_image_with_tracing_exports_spans(tmp_path: Path, redis_url: str, sandbox: Sandbox, phone: str) -> None:
    port, log = str(free_port()), tmp_path / "log"
    settings = {**ACCOUNT, "INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "PORT": port, "METRICS_PORT": "0"}
    with Collector() as collector, with_its_code_unchanged(Image(tmp_path, "otel")) as traced, log.open("wb") as output:
        settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        leaks.note_settings(settings)
        with traced.started(traced.start_command(), output, **settings) as process:
            service = Service(process, int(port), log)
            service.wait_until_up(2)
            assert service.send(phone).status_code == 200
            process.terminate()
            assert process.wait(60) == 0
    assert ("infobip-otp", "POST /send-otp") in collector.spans


def test_the_image_with_the_sandbox_needs_nothing_else(tmp_path: Path, phone: str) -> None:
    port, inbox, log = free_port(), free_port(), tmp_path / "log"
    settings = {"PORT": str(port), "SANDBOX_PORT": str(inbox), "SANDBOX_PIN": "123456", "SANDBOX_NAMES": "otp"}
    with (
        with_its_code_unchanged(Image(tmp_path, "sandbox")) as alone,
        log.open("wb") as output,
        alone.started(alone.start_command(), output, **settings) as process,
    ):
        service = Service(process, port, log, "127.0.0.2")  # as if from outside the container
        eventually(lambda: process.poll() is not None or alone.run(alone.health_check(), PORT=str(port)) == 0)
        assert process.poll() is None, log.read_text()
        assert service.send(phone).status_code == 200
        assert service.verify(phone, "123456").status_code == 200
        _run_testcontainers_snippet({3000: port, 3001: inbox})
        answer = requests.get(f"http://127.0.0.2:{inbox}/inbox", headers={"Host": f"otp:{inbox}"}, timeout=5)
        assert [each["pin"] for each in answer.json()["messages"]] == 2 * ["123456"]
        process.send_signal(signal.Signals[alone.stop_signal()])
        assert process.wait(60) == 0
    assert "Traceback" not in log.read_text()


def _run_testcontainers_snippet(ports: dict[int, int]) -> None:
    """Run the snippet of the docs on the programs at `ports`. The library is a mock, since it needs a Docker daemon."""
    container = MagicMock()
    for built in (container.with_env, container.with_exposed_ports, container.waiting_for, container.__enter__):
        built.return_value = container
    container.get_container_host_ip.return_value = "127.0.0.2"
    container.get_exposed_port.side_effect = ports.__getitem__
    containers, strategies = MagicMock(), MagicMock()
    containers.DockerContainer.return_value = container
    library = {"testcontainers": MagicMock(), "testcontainers.core": MagicMock()}
    library |= {"testcontainers.core.container": containers, "testcontainers.core.wait_strategies": strategies}
    (snippet,) = re.findall(r"```python\n(.*?)```", SANDBOX_PAGE, re.DOTALL)
    with patch.dict(sys.modules, library):
        exec(snippet, {})
    ((message,), _) = strategies.LogMessageWaitStrategy.call_args
    assert message in (ROOT / "sandbox/__main__.py").read_text()
    container.with_exposed_ports.assert_called_once_with(*ports)


def test_the_github_actions_job_fits_its_schema() -> None:
    (services,) = re.findall(r"```yaml\n(services:.*?)```", SANDBOX_PAGE, re.DOTALL)
    job = {"runs-on": "ubuntu-latest", "steps": [{"run": "make test"}], **yaml.safe_load(services)}
    jsonschema.validate({"on": "push", "jobs": {"test": job}}, json.loads(WORKFLOW_SCHEMA.read_text()))
    assert set(job["services"]["otp"]["env"]) == {"SANDBOX_PIN", "SANDBOX_NAMES"}
    assert len(services.splitlines()) == 8


def test_the_image_runs_the_sandbox_of_the_compose_file(laid_out: Image, tmp_path: Path) -> None:
    service = compose()["services"]["infobip"]
    port = str(free_port())
    check = [each.replace("3001", port) for each in service["healthcheck"]["test"][1:]]
    passed = {name for name, value in service["environment"].items() if value is None}
    assert passed == {"SANDBOX_PIN", "SANDBOX_NAMES", *(f"SANDBOX_{name.upper()}" for name in Quirks.model_fields)}
    settings = {name: value for name, value in service["environment"].items() if value}
    settings |= {"PORT": "3000", "SANDBOX_PORT": port}
    log = tmp_path / "log"
    with log.open("wb") as output, laid_out.started(service["command"], output, **settings) as process:
        eventually(lambda: process.poll() is not None or laid_out.run(check) == 0)
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.Signals[service["stop_signal"]])
        assert process.wait(60) == 0
    assert "Traceback" not in log.read_text()


def texts(path: Path) -> Iterator[str]:
    """Yield the strings of a module that a user may see. Only docstrings of commands (decorated) are among them."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    documented = [each for each in nodes if isinstance(each, ast.Module | ast.ClassDef | ast.FunctionDef)]
    notes = [each.body[0] for each in documented if each.body and not getattr(each, "decorator_list", [])]
    unseen = {id(note.value) for note in notes if isinstance(note, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in unseen:
            yield node.value


def test_no_message_names_a_file_that_the_image_does_not_have(laid_out: Image) -> None:
    for module in laid_out.app.rglob("*.py"):
        names = {name for text in texts(module) for name in re.findall(r"[\w./-]+\.(?:md|txt|example|ya?ml)\b", text)}
        assert {name for name in names if (ROOT / name).exists() and not (laid_out.app / name).exists()} == set()
