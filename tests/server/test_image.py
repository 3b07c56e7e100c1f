"""The image starts: its own commands, in a tree of its own, on the Python that runs the tests."""

import ast
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import requests

from sandbox.ports import free_port
from tests.documents.test_deploy import compose
from tests.support import image, leaks
from tests.support.command import eventually
from tests.support.image import Image
from tests.support.running import ACCOUNT, ROOT, Sandbox, Service


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    made = Image(tmp_path_factory.mktemp("image"))
    yield made
    assert made.written() == set(), "a container may not write its code"


def test_the_image_starts_sends_and_stops(
    laid_out: Image, tmp_path: Path, database: redis.Redis, redis_url: str, sandbox: Sandbox, phone: str
) -> None:
    port = str(free_port())
    settings = {**ACCOUNT, "INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "PORT": port}
    settings |= {"METRICS_PORT": str(free_port())}
    leaks.tell_settings(settings)
    log = tmp_path / "log"
    with log.open("wb") as output, laid_out.started(image.start_command(), output, **settings) as process:
        service = Service(process, int(port), log)
        service.wait_until_up(2)
        assert laid_out.run(image.health_check(), PORT=port) == 0
        assert service.send(phone).status_code == 200
        assert service.verify(phone, sandbox.pin(phone)).status_code == 200
        process.send_signal(signal.Signals[image.stop_signal()])
        assert process.wait(60) == 0
    assert laid_out.run(image.health_check(), PORT=port) == 1
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
def test_it_listens_where_it_is_told_to(
    laid_out: Image, tmp_path: Path, redis_url: str, sandbox: Sandbox, bind: str, reached: list[str], refused: list[str]
) -> None:
    """The metrics, too; and the image's own health check finds it."""
    port, metrics = free_port(), free_port()
    settings = {**ACCOUNT, "INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "BIND": bind}
    settings |= {"PORT": str(port), "METRICS_PORT": str(metrics)}
    leaks.tell_settings(settings)
    log = tmp_path / "log"
    with log.open("wb") as output, laid_out.started(image.start_command(), output, **settings) as process:
        Service(process, port, log, reached[0]).wait_until_up(2)
        assert laid_out.run(image.health_check(), PORT=str(port), BIND=bind) == 0
        for host in reached:
            assert Service(process, port, log, host).verify("+14155552671", "1").headers["X-RateLimit-Remaining"]
            assert requests.get(f"http://{host}:{metrics}/metrics", timeout=5).status_code == 200
        for url in [f"http://{host}:{each}/metrics" for host in refused for each in (port, metrics)]:
            with pytest.raises(requests.ConnectionError):
                requests.get(url, timeout=5)
        process.terminate()
        assert process.wait(60) == 0


def test_the_image_is_the_sandbox_too(laid_out: Image, tmp_path: Path) -> None:
    service = compose()["services"]["infobip"]
    port = str(free_port())
    check = [each.replace("3001", port) for each in service["healthcheck"]["test"][1:]]
    settings = {**service["environment"], "PORT": "3000", "SANDBOX_PORT": port}
    log = tmp_path / "log"
    with log.open("wb") as output, laid_out.started(service["command"], output, **settings) as process:
        eventually(lambda: process.poll() is not None or laid_out.run(check) == 0)
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.Signals[service["stop_signal"]])
        assert process.wait(60) == 0
    assert "Traceback" not in log.read_text()


def texts(path: Path) -> Iterator[str]:
    """The strings of a module that its user may read: of the docstrings, those of commands, which have a decorator."""
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
