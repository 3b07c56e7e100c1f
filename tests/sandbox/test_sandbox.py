"""The local Infobip: sending, resending and verifying."""

from typing import Any

import pytest
import requests

from sandbox.grammar import ALPHABETS
from sandbox.model import Channel, Configuration, SendRequest
from sandbox.quirks import Quirks
from sandbox.server import APPLICATION_ID, MESSAGE_ID
from sandbox.two_factor import KEPT_AFTER_EXPIRY
from tests.support.infobip import (
    APPLICATION,
    BAD,
    THROTTLED,
    TO,
    UNKNOWN,
    call,
    error,
    resend,
    send,
    verify,
    wrong_fields,
)
from tests.support.running import Sandbox, other_pin

PHONE = f"+{TO}"


def test_send_and_verify(sandbox: Sandbox) -> None:
    status, sent = send(sandbox.url, PHONE)
    pin_id = sent.pop("pinId")
    assert (status, sent) == (
        200,
        {"to": TO, "ncStatus": "NC_DESTINATION_REACHABLE", "smsStatus": "MESSAGE_SENT"},
    )
    assert verify(sandbox.url, pin_id, sandbox.pin(PHONE)) == (
        200,
        {"pinId": pin_id, "msisdn": TO, "verified": True, "attemptsRemaining": 0},
    )


def test_a_wrong_pin_uses_an_attempt_until_none_are_left(sandbox: Sandbox) -> None:
    sandbox.reset(Configuration(pin_attempts=2, verify_pin_limit="100/s"))
    pin_id, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    answers = [verify(sandbox.url, pin_id, other_pin(pin))[1] for _ in range(2)]
    assert [(a["verified"], a["attemptsRemaining"], a["pinError"]) for a in answers] == [
        (False, 1, "WRONG_PIN"),
        (False, 0, "WRONG_PIN"),
    ]
    last = verify(sandbox.url, pin_id, pin)[1]
    assert (last["verified"], last["pinError"]) == (False, "NO_MORE_PIN_ATTEMPTS")


def test_a_pin_expires_and_is_forgotten_later(sandbox: Sandbox) -> None:
    pin_id, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    sandbox.clock.ahead += 599
    assert verify(sandbox.url, pin_id, pin)[1]["verified"] is True
    sandbox.clock.ahead += 1
    assert verify(sandbox.url, pin_id, pin)[1]["pinError"] == "TTL_EXPIRED"
    sandbox.clock.ahead += KEPT_AFTER_EXPIRY + 1
    send(sandbox.url)
    assert error(verify(sandbox.url, pin_id, pin)) == UNKNOWN


@pytest.mark.parametrize("allowed", [True, False])
def test_the_configuration_decides_whether_a_pin_can_be_used_again(sandbox: Sandbox, allowed: bool) -> None:
    sandbox.reset(Configuration(allow_multiple_pin_verifications=allowed, verify_pin_limit="100/s"))
    pin_id, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    assert verify(sandbox.url, pin_id, pin)[1]["verified"] is True
    assert verify(sandbox.url, pin_id, pin)[1]["verified"] is allowed


def test_a_resend_sends_the_same_pin(sandbox: Sandbox) -> None:
    pin_id = send(sandbox.url)[1]["pinId"]
    status, sent = resend(sandbox.url, pin_id, trackDelivery=False)
    assert (status, sent["pinId"]) == (200, pin_id)
    assert resend(sandbox.url, pin_id)[0] == 200, "the body is optional"
    assert resend(sandbox.url, pin_id, "/resend/voice")[1]["callStatus"] == "PENDING_ACCEPTED"
    assert [m.channel for m in sandbox.messages] == [Channel.SMS, Channel.SMS, Channel.SMS, Channel.VOICE]
    assert len(set(sandbox.pins(PHONE))) == 1
    assert wrong_fields(resend(sandbox.url, pin_id, "/resend/email")).keys() == {"messageId"}


@pytest.mark.parametrize("end", ["verified", "expired", "used_up"])
def test_a_pin_that_is_no_longer_pending_is_not_resent(sandbox: Sandbox, end: str) -> None:
    sandbox.reset(Configuration(pin_attempts=1, verify_pin_limit="100/s"))
    pin_id, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    if end == "expired":
        sandbox.clock.ahead += 15 * 60
    else:
        verify(sandbox.url, pin_id, pin if end == "verified" else other_pin(pin))
    assert sandbox.messages[0].pin.state(sandbox.clock()) == end
    assert error(resend(sandbox.url, pin_id)) == UNKNOWN


def test_the_verify_limit_counts_per_phone_number(sandbox: Sandbox) -> None:
    sandbox.reset(Configuration(verify_pin_limit="1/3s"))
    first, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    second = send(sandbox.url)[1]["pinId"]
    assert verify(sandbox.url, first, other_pin(pin))[1]["attemptsRemaining"] == 9
    assert error(verify(sandbox.url, first, pin)) == error(verify(sandbox.url, second, pin)) == THROTTLED
    sandbox.clock.ahead += 3
    assert verify(sandbox.url, first, other_pin(pin))[1]["attemptsRemaining"] == 8


def test_the_send_limits_count_per_number_and_per_application(sandbox: Sandbox) -> None:
    """With the switch, a resend counts as a send. A refused request does not count at all."""
    limits = Configuration(send_pin_per_phone_number_limit="2/h", send_pin_per_application_limit="3/1d")
    sandbox.reset(limits, Quirks(resend_counts=True))
    pin_id = send(sandbox.url)[1]["pinId"]
    assert resend(sandbox.url, pin_id)[0] == 200
    assert error(send(sandbox.url)) == error(resend(sandbox.url, pin_id)) == THROTTLED
    assert send(sandbox.url, "14155552671")[0] == 200
    assert error(send(sandbox.url, "442071838750")) == THROTTLED
    sandbox.clock.ahead += 24 * 3600
    assert send(sandbox.url)[0] == 200


def test_without_number_lookup_an_unreachable_number_looks_sent(sandbox: Sandbox) -> None:
    """Without the lookup, Infobip does not know that a number cannot be reached."""
    unreachable = "14155550101"
    assert send(sandbox.url, unreachable)[1]["ncStatus"] == "NC_DESTINATION_NOT_REACHABLE"
    status, sent = send(sandbox.url, unreachable, "/pin?ncNeeded=false")
    assert (status, sent["smsStatus"], "ncStatus" in sent) == (200, "MESSAGE_SENT", False)
    assert sandbox.messages == []
    assert error(send(sandbox.url, path="/pin?ncNeeded=maybe")) == BAD


def test_delivery_is_tracked_on_request(sandbox: Sandbox) -> None:
    tracked = send(sandbox.url, trackDelivery="true")[1]["externalMessageId"]
    assert tracked != send(sandbox.url, trackDelivery=True)[1]["externalMessageId"]
    assert "externalMessageId" not in send(sandbox.url, "14155550101", trackDelivery=True)[1]


def test_placeholders_are_filled_into_the_text(sandbox: Sandbox) -> None:
    sandbox.reset(message_text="{{name}}, {{other}}, {{ pin }}: {{pin}} {{pin}}", sender_id="Shop")
    send(sandbox.url, placeholders={"name": "{{pin}} <b>"})
    send(sandbox.url, **{"from": "Other"})
    (first, second), pin = sandbox.messages, sandbox.pins(PHONE)[0]
    assert first.text == f"{{{{pin}}}} <b>, {{{{other}}}}, {{{{ pin }}}}: {pin} {pin}"
    assert (first.sender, second.sender) == ("Shop", "Other")
    invalid_placeholders: tuple[Any, ...] = ({"pin": "1"}, {"{x}": "1"}, {"x": True}, {"x": []}, "x", [1])
    for bad in invalid_placeholders:
        assert next(iter(wrong_fields(send(sandbox.url, placeholders=bad)))).startswith("placeholders")


@pytest.mark.parametrize("pin_type", ALPHABETS)
def test_pins_have_the_form_of_the_template(sandbox: Sandbox, pin_type: str) -> None:
    sandbox.reset(pin_length=8, pin_type=pin_type)
    for n in range(20):
        send(sandbox.url, f"491511234567{n % 10}")
    pins = [m.pin.value for m in sandbox.messages]
    assert len(set(pins)) == 20
    assert all(len(pin) == 8 and set(pin) <= set(ALPHABETS[pin_type]) for pin in pins)


def test_every_recipient_gets_the_fixed_pin(sandbox: Sandbox) -> None:
    sandbox.reset(fixed_pin="1234", pin_length=6)
    pin_id = send(sandbox.url)[1]["pinId"]
    assert verify(sandbox.url, pin_id, "123413")[1]["verified"] is False
    assert verify(sandbox.url, pin_id, "123412")[1]["verified"] is True


@pytest.mark.parametrize("to", ["hello", "", "123", "1" * 16, "++4915112345678", "49 151 12345678", "٤٩١٥١١٢"])
def test_an_invalid_phone_number_is_refused(sandbox: Sandbox, to: str) -> None:
    assert wrong_fields(send(sandbox.url, to)).keys() == {"to"}


def test_an_invalid_email_address_or_template_is_refused(sandbox: Sandbox) -> None:
    assert wrong_fields(send(sandbox.url, "ada", "/pin/email")).keys() == {"to"}
    assert wrong_fields(send(sandbox.url, "ada@example.com", "/pin/email")).keys() == {"messageId"}


def test_a_disabled_application_sends_nothing(sandbox: Sandbox) -> None:
    pin_id, pin = send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE)
    assert call(sandbox.url, "PUT", APPLICATION, {"name": "Off", "enabled": False})[0] == 200
    assert error(send(sandbox.url)) == error(resend(sandbox.url, pin_id)) == BAD
    assert verify(sandbox.url, pin_id, pin)[1]["verified"] is True


def test_the_inbox_shows_what_arrived(sandbox: Sandbox) -> None:
    send(sandbox.url)
    send(sandbox.url, "14155552671")
    inbox = requests.get(f"{sandbox.url}/inbox", timeout=5).json()["messages"]
    assert [m["to"] for m in inbox] == ["+14155552671", PHONE]
    assert inbox[1]["text"] == f"Your code is {inbox[1]['pin']}"
    of_one = requests.get(f"{sandbox.url}/inbox", params={"to": PHONE}, timeout=5).json()["messages"]
    assert [m["id"] for m in of_one] == [inbox[1]["id"]]


def test_each_change_is_returned_once(sandbox: Sandbox) -> None:
    def send_to(to: str) -> str:
        request = SendRequest(application_id=APPLICATION_ID, message_id=MESSAGE_ID, to=to)
        return sandbox.two_factor.send(request, Channel.SMS).pin.pin_id

    first, _ = send_to("14155552671"), send_to(TO)
    version, messages = sandbox.two_factor.changes()
    assert [m.pin.to for m in messages] == ["14155552671", TO]
    assert sandbox.two_factor.changes(version) == (version, [])
    sandbox.two_factor.verify(first, "wrong")
    assert sandbox.two_factor.changes(version) == (version + 1, messages[:1])
