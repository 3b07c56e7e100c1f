"""Delivery reports of the local Infobip, as a webhook receiver on a real port gets them."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from sandbox.delivery_report import ABSENT, DELIVERED, NO_ERROR, UNDELIVERABLE
from sandbox.report_poster import RETRIES, ReportPoster
from tests.support.infobip import TO, resend, send
from tests.support.receiver import Receiver, until
from tests.support.running import ROOT, Sandbox

NO_SMS, NOT_REACHABLE = "14155550109", "14155550101"


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    """A receiver of the sandbox's delivery reports, at an address with a secret in its path."""
    with Receiver() as receiver:
        sandbox.reports_url = receiver.url.replace("/hook", "/canary-secret")
        sandbox.reset()
        yield receiver


def reported(receiver: Receiver, count: int = 1) -> list[dict[str, Any]]:
    """Wait for `count` reports and return them."""
    until(lambda: len(receiver.deliveries) >= count)
    reports = [json.loads(delivery.body)["results"] for delivery in receiver.deliveries]
    assert [len(results) for results in reports] == [1] * count
    return [results[0] for results in reports]


def test_an_sms_that_arrives_is_reported_as_delivered(sandbox: Sandbox, receiver: Receiver) -> None:
    sent = send(sandbox.url, trackDelivery=True)[1]
    (result,) = reported(receiver)
    (message,) = sandbox.messages
    assert receiver.deliveries[0].path == "/canary-secret?token=1"
    assert receiver.deliveries[0].headers["Content-Type"] == "application/json"
    at, done = (datetime.strptime(result.pop(name), "%Y-%m-%dT%H:%M:%S.%f%z") for name in ("sentAt", "doneAt"))
    assert at.timestamp() == pytest.approx(message.sent_at, abs=0.001)
    assert done > at
    assert result == {
        "messageId": sent["externalMessageId"],
        "to": TO,
        "sender": "InfoSMS",
        "messageCount": 1,
        "price": {"pricePerMessage": 0.05, "currency": "EUR"},
        "status": DELIVERED,
        "error": NO_ERROR[message.channel],
    }


def test_each_message_of_a_pin_has_its_own_report(sandbox: Sandbox, receiver: Receiver) -> None:
    """Only tracked messages are reported. The report of a call says that it was answered."""
    pin_id = send(sandbox.url)[1]["pinId"]
    tracked = [resend(sandbox.url, pin_id, path, trackDelivery=True)[1] for path in ("/resend", "/resend/voice")]
    by_id = {result["messageId"]: result for result in reported(receiver, 2)}
    sms, call = (by_id[answer["externalMessageId"]] for answer in tracked)
    assert sms["status"] == call["status"] == DELIVERED
    assert (sms["error"]["name"], call["error"]["name"]) == ("NO_ERROR", "VOICE_ANSWERED")


def test_an_undelivered_sms_is_reported_and_a_call_arrives(sandbox: Sandbox, receiver: Receiver) -> None:
    status, sent = send(sandbox.url, NO_SMS, trackDelivery=True)
    assert (status, sent["smsStatus"], sandbox.messages) == (200, "MESSAGE_SENT", [])
    (lost,) = reported(receiver)
    assert (lost["messageId"], lost["to"]) == (sent["externalMessageId"], NO_SMS)
    assert (lost["status"], lost["error"]) == (UNDELIVERABLE, ABSENT)
    resend(sandbox.url, sent["pinId"], "/resend/voice", trackDelivery=True)
    assert reported(receiver, 2)[1]["status"] == DELIVERED
    assert len(sandbox.messages) == 1


def test_without_the_lookup_an_unreachable_number_is_reported(sandbox: Sandbox, receiver: Receiver) -> None:
    assert "externalMessageId" not in send(sandbox.url, NOT_REACHABLE, trackDelivery=True)[1]
    sent = send(sandbox.url, NOT_REACHABLE, "/pin?ncNeeded=false", trackDelivery=True)[1]
    (result,) = reported(receiver)
    assert (result["messageId"], result["status"]) == (sent["externalMessageId"], UNDELIVERABLE)


def test_a_report_that_is_not_accepted_is_posted_again_unchanged(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.statuses.extend([500, 401, 302])
    send(sandbox.url, trackDelivery=True)
    until(lambda: len(receiver.deliveries) == 4)
    assert len({delivery.body for delivery in receiver.deliveries}) == 1
    assert not receiver.statuses, "a redirect is followed by nobody"


def test_the_sandbox_gives_up_and_does_not_log_the_secret(
    sandbox: Sandbox, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.statuses.extend([503] * 20)
    sent = send(sandbox.url, trackDelivery=True)[1]
    output = ""

    def gave_up() -> bool:
        nonlocal output
        output += capfd.readouterr().err
        return "did not take" in output

    until(gave_up)
    host = receiver.url.partition("/hook")[0]
    assert output == f"{host} did not take the delivery report of {sent['externalMessageId']}.\n"
    assert len(receiver.deliveries) == 1 + RETRIES


def test_a_receiver_that_hangs_delays_no_send(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.hold()
    send(sandbox.url, trackDelivery=True)
    until(lambda: receiver.deliveries)
    assert send(sandbox.url)[0] == 200
    assert receiver.holds()


INVALID_URLS = [
    "https://127.0.0.1/x",
    "127.0.0.1:1",
    "http:///x",
    "http://x:99999/",
    "http://[x/",
    "http://a b",
    "http://a@b",
]


@pytest.mark.parametrize("url", INVALID_URLS)
def test_an_invalid_url_for_reports_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="DELIVERY_REPORTS_URL: must be an http URL"):
        ReportPoster.from_environment({"DELIVERY_REPORTS_URL": url}, time.time)


def test_an_invalid_setting_ends_the_sandbox_with_one_sentence() -> None:
    environment = {"DELIVERY_REPORTS_URL": "https://127.0.0.1/canary-secret", "SANDBOX_PORT": "1"}
    command = [sys.executable, "-m", "sandbox.server"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "The sandbox's settings are not right:\nDELIVERY_REPORTS_URL: must be an http URL, without a user\n"
    )
