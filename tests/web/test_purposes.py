"""A code is for one purpose. Its proof has that purpose and the nonce of the request (OWASP ASVS 5.0, 6.6.2)."""

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import redis
import requests

from sandbox.server import APPLICATION_ID, EMAIL_MESSAGE_ID, MESSAGE_ID
from tests.support.running import Sandbox, Service, other_pin, refusal
from tests.support.signing import SETTINGS

Start = Callable[..., Service]
INVALID = (401, "invalid_otp")
NONCE = "order-4711.a~/+="
TEMPLATES = {"sms": {"de": "DE", "payment/*": "PAY", "payment/de": "PAY-DE", "newsletter/*": "NEWS"}}
PURPOSES = {**SETTINGS, "INFOBIP_TEMPLATES": json.dumps(TEMPLATES), "SEND_AGAIN": "same"}


@pytest.fixture
def service(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with proofs and templates for a payment and a newsletter; a second send repeats a pending PIN."""
    applications = sandbox.two_factor.applications
    default, email = (applications.template(APPLICATION_ID, its_id) for its_id in (MESSAGE_ID, EMAIL_MESSAGE_ID))
    names = ("DE", "PAY", "PAY-DE", "NEWS")
    others = [default.copy_with({"message_id": name, "message_text": f"{name} {{{{pin}}}}"}) for name in names]
    applications.add(applications.get(APPLICATION_ID), default, email, *others)
    return start(sandbox.url, **PURPOSES)


def claims(verified: requests.Response) -> dict[str, Any]:
    return dict(jwt.decode(verified.json()["proof"], options={"verify_signature": False}))


def text(sandbox: Sandbox) -> str:
    return sandbox.messages[-1].text.split()[0]


def test_each_purpose_has_its_templates(service: Service, sandbox: Sandbox, phone: str, database: redis.Redis) -> None:
    for more, expected in [
        ({}, "Your"),
        ({"locale": "de"}, "DE"),
        ({"purpose": "payment"}, "PAY"),
        ({"purpose": "payment", "locale": "de"}, "PAY-DE"),
        ({"purpose": "newsletter", "locale": "de"}, "NEWS"),
        ({"purpose": "newsletter", "channel": "voice"}, "NEWS"),
    ]:
        database.flushall()
        assert service.post("/send-otp", {"phoneNumber": phone, **more}).status_code == 200
        assert text(sandbox) == expected


def test_a_code_for_a_newsletter_cannot_confirm_a_payment(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    sent = service.post("/send-otp", {"phoneNumber": phone, "purpose": "newsletter"}).json()
    pin, request = sandbox.pin(phone), {"phoneNumber": phone, "pin": sandbox.pin(phone)}
    checked = sandbox.request_count()
    for other in ({"purpose": "payment"}, {}, {"purpose": "payment", "verificationId": sent["verificationId"]}):
        assert [refusal(service.post("/verify-otp", {**request, **other})) for _ in range(3)] == [INVALID] * 3
    assert sandbox.request_count() == checked, "Infobip is not asked"
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "0", "no guess is counted"
    right = {**request, "purpose": "newsletter"}
    assert refusal(service.post("/verify-otp", {**right, "pin": other_pin(pin)})) == INVALID
    assert claims(service.post("/verify-otp", right))["purpose"] == "newsletter"
    assert refusal(service.post("/verify-otp", right)) == INVALID


def test_a_code_without_a_purpose_confirms_no_purpose(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    request = {"phoneNumber": phone, "pin": sandbox.pin(phone)}
    assert refusal(service.post("/verify-otp", {**request, "purpose": "payment"})) == INVALID
    verified = claims(service.post("/verify-otp", request))
    assert not {"purpose", "nonce"} & verified.keys()


def test_a_proof_has_the_nonce_of_the_send(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    service.post("/send-otp", {"phoneNumber": phone, "purpose": "payment", "nonce": NONCE})
    database.delete(*database.keys("*:cooldown"))
    assert service.post("/resend-otp", {"phoneNumber": phone}).status_code == 200, "a resend keeps both"
    request = {"phoneNumber": phone, "pin": sandbox.pin(phone), "purpose": "payment", "nonce": "of-an-attacker"}
    verified = service.post("/verify-otp", request)
    assert (claims(verified)["purpose"], claims(verified)["nonce"]) == ("payment", NONCE)
    redeemed = service.post("/proofs/redeem", {"proof": verified.json()["proof"]}).json()
    assert (redeemed["purpose"], redeemed["nonce"]) == ("payment", NONCE)


@pytest.mark.parametrize(
    ("more", "is_same"),
    [({}, True), ({"purpose": "newsletter"}, False), ({"nonce": "another-one"}, False), ({"nonce": None}, False)],
)
def test_a_pending_pin_is_not_sent_for_something_else(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str, more: dict[str, Any], is_same: bool
) -> None:
    request = {"phoneNumber": phone, "purpose": "payment", "nonce": NONCE}
    first = service.post("/send-otp", request).json()
    database.delete(*database.keys("*:cooldown"))
    again = {**request, **more, "verificationId": first["verificationId"]}
    assert service.post("/send-otp", again).status_code == 200
    one, other = (message.pin.pin_id for message in sandbox.messages)
    assert (one == other) is is_same


REFUSED: list[tuple[str, Any, str]] = [
    *(("purpose", name, "invalid_purpose") for name in ("", "refund", "payment/de", "PAYMENT", "*", "sms")),
    *(("nonce", nonce, "invalid_nonce") for nonce in ("", "short", "n" * 129, "with blank", 'quote"d', "ünicode1")),
    *((name, value, "invalid_request") for name in ("purpose", "nonce") for value in (1, ["payment"])),
]


@pytest.mark.parametrize(("member", "value", "code"), REFUSED)
def test_an_invalid_purpose_or_nonce_is_refused(
    service: Service, sandbox: Sandbox, phone: str, member: str, value: Any, code: str
) -> None:
    assert refusal(service.post("/send-otp", {"phoneNumber": phone, member: value})) == (400, code)
    assert sandbox.request_count() == 0
    if member == "purpose":
        request = {"phoneNumber": phone, "pin": "493817", member: value}
        assert refusal(service.post("/verify-otp", request)) == (400, code)


def test_a_purpose_needs_a_template_for_the_channel(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, **PURPOSES, INFOBIP_2FA_EMAIL_MSG_ID="sandbox-email-message", WEB_CONCURRENCY="1")
    request = {"email": "ada@example.com", "purpose": "payment"}
    assert refusal(service.post("/send-otp", request)) == (400, "channel_not_available")
    assert sandbox.request_count() == 0
