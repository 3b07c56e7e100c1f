"""Phone numbers with a fixed outcome, on a sandbox in its own process, by direct requests and through the service."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
import redis
import requests

from sandbox import faults
from sandbox.free_port import free_port
from sandbox.server import APPLICATION_ID, MESSAGE_ID
from sandbox.test_numbers import TABLE, Fault
from tests.support.infobip import THROTTLED, TO, error, resend, send, verify
from tests.support.pages import PAGES
from tests.support.running import ROOT, Service, answers, refusal


@contextmanager
def sandbox_process(address: str = "127.0.0.1", **environment: str) -> Iterator[str]:
    """Run `python -m sandbox.server`, which is reached at `address`, and yield its URL."""
    port = str(free_port())
    inherited = {k: v for k, v in os.environ.items() if k.startswith(("PATH", "COVERAGE", "HOME"))}
    command = [sys.executable, "-m", "sandbox.server"]
    given = {**inherited, "SANDBOX_PORT": port, **environment}
    with subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.DEVNULL) as process:
        url = f"http://{address}:{port}"
        try:
            assert answers(f"{url}/inbox", process)
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with sandbox_process(SANDBOX_PIN="123456") as url:
        yield url


def messages(url: str, number: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(
        f"{url}/inbox", params={"to": number}, headers={"Connection": "close"}, timeout=5
    ).json()["messages"]
    return found


def number(step: str, fault: Fault) -> str:
    (found,) = (outcome.number for outcome in TABLE if (outcome.step, outcome.fault) == (step, fault))
    return found


IDS = {"applicationId": APPLICATION_ID, "messageId": MESSAGE_ID}

# The refusal that the service returns for each fault of a send, and how many messages arrive nevertheless.
AT_SEND = {
    Fault.UNREACHABLE: ((400, "phone_number_unreachable"), 0),
    Fault.ERROR: ((504, "provider_timeout"), 0),
    Fault.THROTTLED: ((429, "too_many_requests"), 0),
    Fault.SILENCE: ((504, "provider_timeout"), 1),
    Fault.RESET: ((504, "provider_timeout"), 1),
    Fault.REDIRECT: ((502, "provider_error"), 0),
    Fault.HTML: ((502, "provider_error"), 0),
    Fault.DRIP: ((504, "provider_timeout"), 1),
}
AT_VERIFY = {fault: expected for fault, (expected, _) in AT_SEND.items()} | {Fault.EXPIRED: (401, "invalid_otp")}


@pytest.fixture
def short_timeout(start: Callable[..., Service], database: redis.Redis, url: str) -> Service:
    return start(url, INFOBIP_TIMEOUT="1s", RESEND_COOLDOWN="2s", WEB_CONCURRENCY="1", NUMBER_LOOKUP="on")


@pytest.mark.parametrize("outcome", TABLE, ids=lambda outcome: f"{outcome.step}-{outcome.fault.name}")
def test_each_number_has_its_outcome_through_the_service(short_timeout: Service, url: str, outcome: Any) -> None:
    phone = f"+{outcome.number}"
    sent = short_timeout.send(phone)
    if outcome.fault is Fault.UNDELIVERABLE:
        assert (sent.status_code, messages(url, phone)) == (200, [])
        return
    if outcome.step == "send":
        expected, arrived = AT_SEND[outcome.fault]
        assert refusal(sent) == expected
        assert len(messages(url, phone)) == arrived
        return
    assert sent.status_code == 200
    answer = short_timeout.verify(phone, messages(url, phone)[0]["pin"])
    assert refusal(answer) == AT_VERIFY[outcome.fault]
    if outcome.fault is Fault.THROTTLED:
        assert answer.headers["Retry-After"] == "30"


def test_the_numbers_are_fictional_valid_and_each_has_one_outcome() -> None:
    assert len({outcome.number for outcome in TABLE}) == len(TABLE) == 17
    for outcome in TABLE:
        assert outcome.number.startswith("141555501"), "never given to anybody"
        assert phonenumbers.is_valid_number(phonenumbers.parse(f"+{outcome.number}"))


def test_the_page_on_the_sandbox_has_the_same_table() -> None:
    meanings = {outcome.fault.value for outcome in TABLE}
    for meaning in meanings:
        numbers = {o.step: f"`+{o.number}`" for o in TABLE if o.fault.value == meaning}
        assert f"| {meaning} | {numbers.get('send', '')} | {numbers.get('verify', '')} |" in PAGES["docs/sandbox.md"]


def test_refusals_are_those_of_infobip(url: str) -> None:
    assert error(send(url, number("send", Fault.ERROR))) == (500, "GENERAL_ERROR")
    assert error(send(url, number("send", Fault.THROTTLED))) == THROTTLED
    status, sent = send(url, number("send", Fault.UNREACHABLE))
    assert (status, sent["smsStatus"]) == (200, "MESSAGE_NOT_SENT")
    assert sent["pinId"]
    assert send(url, number("send", Fault.UNREACHABLE), "/pin/voice")[1]["callStatus"] == "UNDELIVERABLE_NOT_DELIVERED"


def raw(url: str, to: str, patience: float = 30) -> requests.Response:
    headers = {"Authorization": "Basic c2FuZGJveDpzYW5kYm94LWFwaS1rZXk=", "Connection": "close"}
    return requests.post(
        f"{url}/2fa/2/pin", json={**IDS, "to": to}, headers=headers, timeout=patience, allow_redirects=False
    )


def test_some_numbers_get_responses_that_infobip_does_not_define(url: str) -> None:
    redirect = raw(url, number("send", Fault.REDIRECT))
    assert (redirect.status_code, redirect.headers["Location"]) == (307, "https://infobip.example/maintenance")
    html = raw(url, number("send", Fault.HTML))
    assert (html.status_code, html.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for fault in (Fault.SILENCE, Fault.DRIP):
        with pytest.raises(requests.RequestException):
            raw(url, number("send", fault), patience=1).json()


def test_the_reset_is_a_tcp_reset(url: str) -> None:
    """The client's system reports a TCP RST as a reset. A plain close would read as an empty response."""
    with pytest.raises(requests.ConnectionError) as failed:
        raw(url, number("send", Fault.RESET))
    assert not isinstance(failed.value.args[0].args[1], RemoteDisconnected)
    assert isinstance(failed.value.args[0].args[1], ConnectionResetError)


def test_a_silent_response_delays_no_other_request(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    body = json.dumps({**IDS, "to": number("send", Fault.SILENCE)})
    head = "POST /2fa/2/pin HTTP/1.1\r\nHost: localhost\r\nAuthorization: App sandbox-api-key"
    head += f"\r\nContent-Length: {len(body)}"
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(f"{head}\r\n\r\n{body}".encode())
        assert send(url)[0] == 200
        silent.settimeout(0.2)
        with pytest.raises(TimeoutError):
            silent.recv(1)
    assert faults.SILENCE == 60


def test_every_number_gets_the_fixed_pin(url: str) -> None:
    pin_id = send(url)[1]["pinId"]
    assert messages(url, TO)[0]["pin"] == "123456"
    assert resend(url, pin_id)[0] == 200
    assert verify(url, pin_id, "123456")[1]["verified"] is True


def test_invalid_settings_end_the_sandbox_with_one_message(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.server"]
    given = {**os.environ, "SANDBOX_OLDER_PINS": "gone", "SANDBOX_PORT": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "The sandbox's settings are not right" in ended.stderr
    assert "Traceback" not in ended.stderr
