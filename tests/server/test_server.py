"""The server around the application: how it starts, stops and logs."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import flask
import psutil
import pytest
import redis
import requests

from app import create_app
from config import Settings
from otp import errors
from otp.web.error_responses import STATUS
from otp.web.request_body import content
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.running import ACCOUNT, ROOT, Sandbox, Service, refusal
from tests.support.upstream import PIN_ID, Upstream

Start = Callable[..., Service]


def test_every_error_has_a_status() -> None:
    def family(kind: type[errors.OtpError]) -> set[type[errors.OtpError]]:
        return {kind}.union(*(family(child) for child in kind.__subclasses__()))

    assert family(errors.OtpError) == set(STATUS)


def test_an_invalid_setting_ends_the_start_with_one_message(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **ACCOUNT, "PORT": "http"},
        capture_output=True,
        text=True,
        timeout=60,  # a start that is tried again would never end
        check=False,
    )
    assert process.returncode == 1
    lines = process.stderr.splitlines()
    assert lines[0] == "The settings are not right:"
    assert sorted(line.split(":")[0].strip() for line in lines[1:-1]) == ["INFOBIP_BASE_URL", "PORT", "REDIS_URL"]


def test_a_stop_waits_for_the_sends_in_flight(
    start: Start, database: redis.Redis, upstream: Upstream, tmp_path: Path, redis_url: str, phone: str
) -> None:
    def slow(connection: object) -> None:
        time.sleep(2)
        up.answer(up.SENT)(connection)  # type: ignore[arg-type]

    upstream.script.append(slow)
    answers: list[requests.Response] = []
    with Service.started(tmp_path, {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url}, cold=True) as service:
        client = threading.Thread(target=lambda: answers.append(service.send(phone)))
        client.start()
        eventually(lambda: upstream.requests)
        service.process.send_signal(signal.SIGTERM)
        client.join()
        assert service.process.wait(60) == 0
    assert answers[0].status_code == 200
    assert database.hget(f"otp:phoneNumber:{phone}", "pinId") == PIN_ID


def test_a_restart_keeps_the_pins(
    database: redis.Redis, sandbox: Sandbox, tmp_path: Path, redis_url: str, phone: str
) -> None:
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}
    with Service.started(tmp_path, settings, cold=True) as before:
        assert before.send(phone).status_code == 200
    with Service.started(tmp_path, settings, cold=True) as after:
        assert refusal(after.send(phone)) == (429, "too_many_requests")
        assert after.verify(phone, sandbox.pin(phone)).status_code == 200


def test_an_unexpected_error_is_a_json_500_that_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    given = {"infobip_base_url": "https://127.0.0.1:1", "redis_url": "redis://127.0.0.1:1/0"}
    app = create_app(Settings(**given, **{name.lower(): value for name, value in ACCOUNT.items()}))

    @app.get("/bug")
    def bug() -> str:
        raise RuntimeError("the PIN is 918273")

    response = app.test_client().get("/bug")
    assert response.status_code == 500
    assert response.get_json() == {"error": "Something went wrong on our side.", "code": "internal_error"}
    (logged,) = [record.__dict__ for record in caplog.records if record.message == "bug"]
    assert (logged["error"], logged["at"].startswith(__file__)) == ("RuntimeError", True)
    assert "918273" not in str([record.__dict__ for record in caplog.records])


def test_a_body_that_ends_before_its_length_is_refused() -> None:
    """The application checks this itself where the server hands over a body that it has read already."""
    given = {"infobip_base_url": "https://127.0.0.1:1", "redis_url": "redis://127.0.0.1:1/0"}
    app = create_app(Settings(**given, **{name.lower(): value for name, value in ACCOUNT.items()}))
    body = b"{}"
    app.add_url_rule("/body", view_func=lambda: {"length": len(content(flask.request))}, methods=["POST"])
    post_body = app.test_client().post
    whole, cut = (
        post_body("/body", data=body, environ_overrides={"CONTENT_LENGTH": str(len(body) + more)}) for more in (0, 1)
    )
    assert (whole.status_code, whole.get_json()) == (200, {"length": len(body)})
    assert (cut.status_code, cut.get_json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_ends_is_replaced(
    database: redis.Redis, sandbox: Sandbox, tmp_path: Path, redis_url: str, phone: str, signal_number: int
) -> None:
    with Service.started(tmp_path, {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}, cold=True) as service:
        (lost, _) = service.workers()
        os.kill(lost, signal_number)
        eventually(lambda: lost not in service.workers() and len(service.workers()) == 2)
        assert service.send(phone).status_code == 200


def test_a_worker_without_requests_sleeps(service: Service, phone: str) -> None:
    """It wakes once a second to show the master that it lives, although its connection to Redis is open."""
    assert service.send(phone).status_code == 200
    workers = [psutil.Process(pid) for pid in service.workers()]

    def wakes() -> int:
        return sum(worker.num_ctx_switches().voluntary for worker in workers)

    before = wakes()
    time.sleep(5)  # tasks that the request left behind end within that time
    assert wakes() - before < 50
