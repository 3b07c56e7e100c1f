"""SIGHUP starts new workers with the new settings. Invalid settings of any kind change nothing and stop no process."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.command import eventually
from tests.support.running import Sandbox, Service

IN_THE_FILE = {"PORT": "", "METRICS_PORT": ""}


@pytest.fixture
def service(sandbox: Sandbox, database: redis.Redis, redis_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service that has the settings that the tests change in its `.env` file."""
    given = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}
    (tmp_path / ".env").write_text("METRICS_PORT=0\nPIN_TIME_TO_LIVE=10m\n")
    with Service.started(tmp_path, {**given, **IN_THE_FILE}) as service:
        yield service


def write_and_reload(service: Service, settings: str | bytes) -> None:
    path = service.directory / ".env"
    path.write_bytes(settings if isinstance(settings, bytes) else settings.encode())
    service.process.send_signal(signal.SIGHUP)


def refused_reloads(service: Service) -> list[list[str]]:
    return [line["reasons"] for line in service.lines(event="reload_refused", level="error")]


def test_new_settings_reach_new_workers(service: Service, phone: str) -> None:
    old = service.workers()
    write_and_reload(service, "WEB_CONCURRENCY=3\nMETRICS_PORT=0\nPIN_TIME_TO_LIVE=7m\n")
    eventually(lambda: len(service.workers()) == 3 and not {*old} & {*service.workers()}, 30)
    assert service.send(phone).json()["expiresIn"] == 420
    (line,) = service.lines(event="reload")
    assert line["settings"]["PIN_TIME_TO_LIVE"] == 420


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ("PIN_LENGTH=secret-value\n", ["PIN_LENGTH: "]),
        ("PIN_LENGTH=0\nPIN_ATTEMPTS=many\n", ["PIN_LENGTH: ", "PIN_ATTEMPTS: "]),
        (b"NOTE=\xff\xfe\n", [".env: cannot be read"]),
    ],
)
def test_bad_settings_change_nothing(service: Service, phone: str, settings: str | bytes, reasons: list[str]) -> None:
    old = service.workers()
    write_and_reload(service, settings)
    eventually(lambda: refused_reloads(service))
    (logged,) = refused_reloads(service)
    assert len(logged) == len(reasons)
    assert all(sentence.startswith(start) for sentence, start in zip(logged, reasons, strict=True))
    assert "secret-value" not in service.log()
    assert service.workers() == old
    for pid in old:  # the workers that replace them have the last valid settings
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(service.workers()) == 2 and not {*old} & {*service.workers()})
    assert service.send(phone).json()["expiresIn"] == 600
    write_and_reload(service, "PIN_TIME_TO_LIVE=7m\n")
    eventually(lambda: service.lines(event="reload"))


def test_a_reload_without_a_needed_file_is_refused(
    sandbox: Sandbox, database: redis.Redis, redis_url: str, tmp_path: Path, phone: str
) -> None:
    (tmp_path / ".env").write_text(f"REDIS_URL={redis_url}\n")
    given = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": ""}
    with Service.started(tmp_path, given) as service:
        (tmp_path / ".env").unlink()
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: refused_reloads(service))
        assert refused_reloads(service) == [[".env: is gone"]]
        assert service.send(phone).status_code == 200


def test_a_setting_that_needs_a_restart_is_logged_and_not_applied(service: Service, phone: str) -> None:
    old = service.workers()
    write_and_reload(service, "PORT=1\nMETRICS_PORT=2\nPIN_TIME_TO_LIVE=7m\n")
    eventually(lambda: len(service.workers()) == 2 and not {*old} & {*service.workers()}, 30)
    (line,) = service.lines(event="restart_needed", level="warning")
    assert line["changed"] == ["PORT", "METRICS_PORT"]
    assert service.send(phone).json()["expiresIn"] == 420


def test_a_reload_without_the_file_of_api_keys_keeps_the_keys(
    sandbox: Sandbox, database: redis.Redis, redis_url: str, tmp_path: Path, phone: str
) -> None:
    """A reload while a deployment replaces the file must not leave the service without API keys."""
    (tmp_path / ".env").write_text("API_KEYS=shop:0123456789abcdef0123456789abcdef\n")
    given = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}
    with Service.started(tmp_path, given) as service:
        (tmp_path / ".env").unlink()
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: refused_reloads(service))
        assert service.send(phone).status_code == 401
