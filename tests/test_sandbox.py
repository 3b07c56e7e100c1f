"""The local Infobip: what it promises to be like, by its own HTTP interface."""

import socket
from typing import Any

import pytest
import requests

from sandbox.authorization import API_KEY
from sandbox.grammar import ALPHABETS, Limit, seconds
from sandbox.model import Channel, Configuration, SendRequest
from sandbox.server import APPLICATION_ID, MESSAGE_ID, make_server
from sandbox.two_factor import KEPT_AFTER_EXPIRY, KEPT_MESSAGES
from tests.parts import Sandbox
from tests.test_stories import wrong

KEY = {"Authorization": f"App {API_KEY}"}
TO = "4915112345678"


def call(sandbox: Sandbox, path: str, body: Any = None, headers: dict[str, str] = KEY) -> tuple[int, dict[str, Any]]:
    response = requests.post(f"{sandbox.url}/2fa/2/pin{path}", json=body, headers=headers, timeout=5)
    return response.status_code, response.json()


def send(sandbox: Sandbox, to: str = TO) -> tuple[int, dict[str, Any]]:
    return call(sandbox, "", {"applicationId": APPLICATION_ID, "messageId": MESSAGE_ID, "to": to})


def error(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    status, body = answer
    assert set(body["requestError"]["serviceException"]) >= {"messageId", "text"}
    return status, body["requestError"]["serviceException"]["messageId"]


def test_send_and_verify(sandbox: Sandbox) -> None:
    status, sent = send(sandbox, f"+{TO}")
    pin_id = sent.pop("pinId")
    assert (status, sent) == (
        200,
        {"to": TO, "ncStatus": "NC_DESTINATION_REACHABLE", "smsStatus": "MESSAGE_SENT"},
    )
    assert call(sandbox, f"/{pin_id}/verify", {"pin": sandbox.pin(f"+{TO}")}) == (
        200,
        {"pinId": pin_id, "msisdn": TO, "verified": True, "attemptsRemaining": 0},
    )


def test_the_inbox_shows_what_arrived(sandbox: Sandbox) -> None:
    send(sandbox)
    send(sandbox, "14155552671")
    inbox = requests.get(f"{sandbox.url}/inbox", timeout=5).json()["messages"]
    assert [m["to"] for m in inbox] == ["+14155552671", f"+{TO}"]
    assert inbox[1]["text"] == f"Your code is {inbox[1]['pin']}"
    of_one = requests.get(f"{sandbox.url}/inbox", params={"to": f"+{TO}"}, timeout=5).json()["messages"]
    assert of_one == inbox[1:]


def test_a_wrong_pin_costs_an_attempt_until_there_are_none(sandbox: Sandbox) -> None:
    sandbox.reset(Configuration(pin_attempts=2, verify_pin_limit="100/s"))
    pin_id, pin = send(sandbox)[1]["pinId"], sandbox.pin(f"+{TO}")
    answers = [call(sandbox, f"/{pin_id}/verify", {"pin": wrong(pin)})[1] for _ in range(2)]
    assert [(a["verified"], a["attemptsRemaining"], a["pinError"]) for a in answers] == [
        (False, 1, "WRONG_PIN"),
        (False, 0, "WRONG_PIN"),
    ]
    last = call(sandbox, f"/{pin_id}/verify", {"pin": pin})[1]
    assert (last["verified"], last["pinError"]) == (False, "NO_MORE_PIN_ATTEMPTS")


def test_a_pin_expires_and_is_forgotten_later(sandbox: Sandbox) -> None:
    pin_id, pin = send(sandbox)[1]["pinId"], sandbox.pin(f"+{TO}")
    sandbox.clock.ahead += 599
    assert call(sandbox, f"/{pin_id}/verify", {"pin": pin})[1]["verified"] is True
    sandbox.clock.ahead += 1
    assert call(sandbox, f"/{pin_id}/verify", {"pin": pin})[1]["pinError"] == "TTL_EXPIRED"
    sandbox.clock.ahead += KEPT_AFTER_EXPIRY + 1
    send(sandbox)
    assert error(call(sandbox, f"/{pin_id}/verify", {"pin": pin})) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("allowed", "again"), [(True, True), (False, False)])
def test_a_used_pin_by_configuration(sandbox: Sandbox, allowed: bool, again: bool) -> None:
    sandbox.reset(Configuration(allow_multiple_pin_verifications=allowed, verify_pin_limit="100/s"))
    pin_id, pin = send(sandbox)[1]["pinId"], sandbox.pin(f"+{TO}")
    assert call(sandbox, f"/{pin_id}/verify", {"pin": pin})[1]["verified"] is True
    assert call(sandbox, f"/{pin_id}/verify", {"pin": pin})[1]["verified"] is again


def test_a_resend_brings_the_same_pin(sandbox: Sandbox) -> None:
    pin_id = send(sandbox)[1]["pinId"]
    status, sent = call(sandbox, f"/{pin_id}/resend", {"trackDelivery": False})
    assert (status, sent["pinId"]) == (200, pin_id)
    assert call(sandbox, f"/{pin_id}/resend")[0] == 200, "the body is optional"
    assert len(sandbox.pins(f"+{TO}")) == 3
    assert len(set(sandbox.pins(f"+{TO}"))) == 1


THROTTLED = (429, "TOO_MANY_REQUESTS")


def test_the_verify_limit(sandbox: Sandbox) -> None:
    sandbox.reset(Configuration(verify_pin_limit="1/3s"))
    pin_id, pin = send(sandbox)[1]["pinId"], sandbox.pin(f"+{TO}")
    assert call(sandbox, f"/{pin_id}/verify", {"pin": wrong(pin)})[1]["attemptsRemaining"] == 9
    assert error(call(sandbox, f"/{pin_id}/verify", {"pin": pin})) == THROTTLED
    sandbox.clock.ahead += 3
    assert call(sandbox, f"/{pin_id}/verify", {"pin": wrong(pin)})[1]["attemptsRemaining"] == 8


def test_the_send_limits(sandbox: Sandbox) -> None:
    """A resend counts as a send."""
    sandbox.reset(Configuration(send_pin_per_phone_number_limit="2/h", send_pin_per_application_limit="3/1d"))
    pin_id = send(sandbox)[1]["pinId"]
    assert call(sandbox, f"/{pin_id}/resend")[0] == 200
    assert error(send(sandbox)) == THROTTLED
    assert send(sandbox, "14155552671")[0] == 200
    assert error(send(sandbox, "442071838750")) == THROTTLED
    sandbox.clock.ahead += 24 * 3600
    assert send(sandbox)[0] == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": API_KEY}, {"Authorization": "App other"}], ids=str)
def test_without_the_key(sandbox: Sandbox, headers: dict[str, str]) -> None:
    assert error(call(sandbox, "", {}, headers)) == (401, "UNAUTHORIZED")


def test_refusals_in_infobips_shape(sandbox: Sandbox) -> None:
    status, body = call(sandbox, "", {"applicationId": APPLICATION_ID, "to": 4})
    assert error((status, body)) == (400, "BAD_REQUEST")
    assert set(body["requestError"]["serviceException"]["validationErrors"]) == {"messageId", "to"}
    assert error(send(sandbox, "hello")) == (400, "BAD_REQUEST")
    assert error(call(sandbox, "", ["a list"])) == (400, "BAD_REQUEST")
    unknown = {"applicationId": "x", "messageId": MESSAGE_ID, "to": TO}
    assert error(call(sandbox, "", unknown)) == (404, "NOT_FOUND")
    assert error(call(sandbox, "/ABC/resend")) == (404, "NOT_FOUND")
    assert error(call(sandbox, "/nope/nope/nope")) == (404, "NOT_FOUND")


@pytest.mark.parametrize("pin_type", ALPHABETS)
def test_pins_have_the_templates_form(sandbox: Sandbox, pin_type: str) -> None:
    sandbox.reset(pin_length=8, pin_type=pin_type)
    pins = []
    for n in range(20):
        send(sandbox, f"491511234567{n % 10}")
        pins = [m.pin.value for m in sandbox.messages]
    assert len(set(pins)) == 20
    assert all(len(pin) == 8 and set(pin) <= set(ALPHABETS[pin_type]) for pin in pins)


def test_memory_is_bounded(sandbox: Sandbox) -> None:
    for n in range(KEPT_MESSAGES + 10):
        to = str(4915110000000 + n)
        request = SendRequest(application_id=APPLICATION_ID, message_id=MESSAGE_ID, to=to)
        sandbox.two_factor.send(request, Channel.SMS)
    assert len(sandbox.messages) == KEPT_MESSAGES


@pytest.mark.parametrize(("text", "value"), [("10m", 600), ("h", 3600), ("500ms", 0.5), ("2d", 172800), ("1s", 1)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "10", "m10", "10 m", "-1s", "1w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


def test_limits() -> None:
    assert Limit.parse("3/1d") == Limit(3, 86400)
    assert Limit.parse("2/s") == Limit(2, 1)
    for text in ("3", "/1d", "x/1d", "3/"):
        with pytest.raises(ValueError, match="must be"):
            Limit.parse(text)


def test_its_answers_leave_at_once() -> None:
    """Head and body in two packets would wait 40 ms for each other on a kept connection."""
    server = make_server(("127.0.0.1", 0), lambda *_: [])
    assert server.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    server.stop()
