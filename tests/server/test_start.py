"""The comparison with the account at Infobip when the service starts: it logs warnings and delays nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
import redis

from sandbox.authorization import SEND_ONLY_KEY
from sandbox.server import APPLICATION_ID
from tests.cli.test_setup import SAFE
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.running import Sandbox, Service
from tests.support.upstream import Upstream

Run = Callable[..., str]
WARNING = '"level": "warning", "logger": "otp.infobip"'


@pytest.fixture
def run(tmp_path: Path, redis_url: str, database: redis.Redis) -> Run:
    """Start a service, wait until its log has a text, and return the log."""

    def run(base_url: str, until: str, **settings: str) -> str:
        defaults = {"PHONE_SEND_LIMIT": ""}  # the account is compared with this setting
        given = {"INFOBIP_BASE_URL": base_url, "REDIS_URL": redis_url, **defaults, **settings}
        with Service.started(tmp_path, given) as service:
            eventually(lambda: until in service.log())
        return service.log()

    return run


def test_differences_from_the_account_are_logged(run: Run, sandbox: Sandbox) -> None:
    sandbox.reset(SAFE.model_copy(update={"pin_time_to_live": "9m", "pin_attempts": 7}), pin_length=4)
    log = run(sandbox.url, "PIN attempts: ")
    assert log.count("PIN time to live: PINs expire at Infobip after 9m") == 1
    assert log.count("PIN length: The template has 4") == 1
    assert log.count(WARNING) == 3
    assert len(sandbox.calls) == 2


def test_a_worker_that_replaces_another_does_not_compare_again(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis, phone: str
) -> None:
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "WEB_CONCURRENCY": "1"}
    with Service.started(tmp_path, settings, cold=True) as service:
        eventually(lambda: "otp.infobip" in service.log())
        (lost,) = service.workers()
        os.kill(lost, SIGKILL)
        eventually(lambda: service.workers() not in ([], [lost]))
        assert service.send(phone).status_code == 200
    assert [path.rpartition("/")[2] for path in sandbox.calls] == [APPLICATION_ID, "messages", "pin"]


def test_an_account_that_fits_logs_no_warning(run: Run, sandbox: Sandbox) -> None:
    sandbox.reset(SAFE)
    log = run(sandbox.url, "The account at Infobip fits the settings")
    assert WARNING not in log
    assert len(sandbox.calls) == 2


def test_an_api_key_that_may_only_send_logs_no_warning(run: Run, sandbox: Sandbox) -> None:
    log = run(sandbox.url, "the API key may only send", INFOBIP_API_KEY=SEND_ONLY_KEY)
    assert "The account was not compared" in log
    assert WARNING not in log
    assert '"level": "error"' not in log


@pytest.mark.parametrize(
    ("response", "warning"),
    [
        (up.answer(b"<html>"), "gave an answer that makes no sense"),
        (up.error(401, "UNAUTHORIZED"), "does not accept the API key"),
        (up.drip, "cannot be reached, or does not answer in time"),
    ],
)
def test_a_failed_comparison_logs_a_warning(run: Run, upstream: Upstream, response: up.Act, warning: str) -> None:
    upstream.look = response
    log = run(upstream.url, warning, INFOBIP_TIMEOUT="4s")
    assert WARNING in log
    assert "Traceback" not in log
    assert "sandbox-api-key" not in log


def test_an_infobip_that_does_not_respond_delays_no_send(
    tmp_path: Path, upstream: Upstream, redis_url: str, database: redis.Redis, phone: str
) -> None:
    upstream.look = up.silence
    settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url, "WEB_CONCURRENCY": "1"}
    with Service.started(tmp_path, settings, cold=True) as service:
        assert service.send(phone).status_code == 200
        assert "not compared" not in service.log(), "it still waits"
