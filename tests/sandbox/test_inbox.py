"""The HTTP endpoints behind the sandbox's page: the inbox, the event stream and the requests to the service."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.free_port import free_port
from sandbox.model import Channel, SendRequest
from sandbox.server import APPLICATION_ID, EMAIL_MESSAGE_ID, MESSAGE_ID
from tests.support.running import Sandbox, Service, other_pin

TO = "+4915112345678"


def deliver(sandbox: Sandbox, to: str, message_id: str = MESSAGE_ID, channel: Channel = Channel.SMS) -> None:
    sandbox.two_factor.send(SendRequest(application_id=APPLICATION_ID, message_id=message_id, to=to), channel)


def inbox(sandbox: Sandbox, query: str = "") -> list[dict[str, Any]]:
    messages = requests.get(f"{sandbox.url}/inbox{query}", timeout=5).json()["messages"]
    assert isinstance(messages, list)
    return messages


def test_a_message_shows_the_state_of_its_pin(sandbox: Sandbox) -> None:
    deliver(sandbox, TO)
    (message,) = inbox(sandbox)
    pin = sandbox.pin(TO)
    assert 0 < message.pop("expiresIn") <= 600
    assert message == {
        "id": sandbox.messages[0].serial,
        "channel": "SMS",
        "to": TO,
        "from": "InfoSMS",
        "text": f"Your code is {pin}",
        "pin": pin,
        "sentAt": sandbox.messages[0].sent_at,
        "state": "pending",
        "attemptsUsed": 0,
        "attemptsAllowed": 1000,
    }
    sandbox.clock.ahead += 600
    assert (inbox(sandbox)[0]["state"], inbox(sandbox)[0]["expiresIn"]) == ("expired", 0)


def test_an_email_has_a_sender_and_a_subject(sandbox: Sandbox) -> None:
    deliver(sandbox, "ada@example.org", EMAIL_MESSAGE_ID, Channel.EMAIL)
    (message,) = inbox(sandbox, "?to=ada@example.org")
    assert message["channel"] == "EMAIL"
    assert (message["to"], message["from"]) == ("ada@example.org", "no-reply@infobip.example")
    assert message["subject"] == "Your verification code"
    assert message["text"] == f"Your PIN is {message['pin']}"


@pytest.mark.parametrize(
    "written",
    [
        "+4915112345678",
        "%2B4915112345678",
        "4915112345678",
        "a+b@example.org",
        "a%2Bb%40example.org",
        "+c@example.com",
        "%2Bc@example.com",
    ],
)
def test_the_inbox_finds_a_recipient_by_any_spelling(sandbox: Sandbox, written: str) -> None:
    deliver(sandbox, TO)
    for address in ("a+b@example.org", "+c@example.com"):
        deliver(sandbox, address, EMAIL_MESSAGE_ID, Channel.EMAIL)
    expected = next(
        to for end, to in (("org", "a+b@example.org"), ("com", "+c@example.com"), ("", TO)) if end in written
    )
    assert [message["to"] for message in inbox(sandbox, f"?to={written}")] == [expected]


def events(stream: requests.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in stream.iter_lines(decode_unicode=True):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_the_stream_sends_existing_messages_and_then_changes(sandbox: Sandbox) -> None:
    deliver(sandbox, TO)
    with requests.get(f"{sandbox.url}/events", stream=True, timeout=5) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        arriving = events(stream)
        name, start = next(arriving)
        assert (name, start["kept"]) == ("start", 1)
        assert next(arriving)[1]["text"] == f"Your code is {sandbox.pin(TO)}"
        deliver(sandbox, "+14155552671")
        name, message = next(arriving)
        assert (name, message["to"], message["state"]) == ("message", "+14155552671", "pending")
        sandbox.two_factor.verify(sandbox.messages[0].pin.pin_id, other_pin(sandbox.pin(TO)))
        assert next(arriving)[1]["attemptsUsed"] == 1
        sandbox.two_factor.verify(sandbox.messages[0].pin.pin_id, sandbox.pin(TO))
        changed = next(arriving)[1]
        assert (changed["id"], changed["state"]) == (sandbox.messages[0].serial, "verified")


@pytest.fixture
def connected(sandbox: Sandbox, service: Service) -> Sandbox:
    """The sandbox, whose page sends its requests to the service under test."""
    sandbox.service_url = service.url
    sandbox.reset()
    return sandbox


def post_try(sandbox: Sandbox, operation: str, body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
    headers = {"Content-Type": content_type}
    response = requests.post(f"{sandbox.url}/try/{operation}", data=body, headers=headers, timeout=30)
    return response.status_code, response.json()


def test_the_bytes_of_the_form_reach_the_service_untouched(connected: Sandbox) -> None:
    body = b'{ "phoneNumber":\t"+14155552671" }'
    status, reply = post_try(connected, "send-otp", body)
    assert (status, reply["status"], reply["retryAfter"], reply["body"]["resendIn"]) == (200, 200, None, 30)
    assert reply["request"].endswith(f"Content-Length: {len(body)}\n\n{body.decode()}")
    assert reply["answer"].startswith("HTTP/1.1 200 OK\n")
    assert json.loads(reply["answer"].partition("\n\n")[2]) == reply["body"]
    again = post_try(connected, "send-otp", body)[1]
    assert (again["status"], again["body"]["code"]) == (429, "too_many_requests")
    assert 25 <= again["retryAfter"] <= 30
    assert re.search("\nRetry-After: [0-9]+\n", again["answer"])


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b'{"phoneNumber":"+14155552671"}', "text/plain", 415, "unsupported_media_type"),
        (b"{", "application/json", 400, "invalid_request"),
        (b" " * 20_000, "application/json", 413, "request_too_large"),
    ],
    ids=["text", "invalid JSON", "too long"],
)
def test_a_refusal_of_the_service_is_shown(
    connected: Sandbox, body: bytes, content_type: str, status: int, code: str
) -> None:
    reply = post_try(connected, "verify-otp", body, content_type)[1]
    assert (reply["status"], reply["body"]["code"]) == (status, code)


def test_only_two_operations_and_no_large_bodies_are_passed_on(connected: Sandbox) -> None:
    assert post_try(connected, "readyz", b"{}")[0] == 404
    assert post_try(connected, "send-otp", b" " * (64 * 1024 + 1))[0] == 413


def test_an_unreachable_service_is_reported_in_one_sentence(sandbox: Sandbox) -> None:
    sandbox.service_url = f"http://127.0.0.1:{free_port()}"
    sandbox.reset()
    sentence = f"Nothing answers at {sandbox.service_url}: is the service running?"
    assert post_try(sandbox, "send-otp", b"{}") == (502, {"error": sentence})


def test_the_page_has_strict_security_headers(sandbox: Sandbox) -> None:
    for path in ("/", "/page/main.js", "/inbox", "/try"):
        response = requests.get(f"{sandbox.url}{path}", timeout=5)
        assert response.status_code == 200
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "no-" in response.headers["Cache-Control"]
        assert "Access-Control-Allow-Origin" not in response.headers


def test_the_page_gets_the_numbers_with_a_fixed_outcome(sandbox: Sandbox) -> None:
    offer = requests.get(f"{sandbox.url}/try", timeout=5).json()
    assert set(offer) == {"service", "limits", "numbers"}
    assert {"phoneNumber": "+14155550102", "outcome": "send: 500 GENERAL_ERROR"} in offer["numbers"]
