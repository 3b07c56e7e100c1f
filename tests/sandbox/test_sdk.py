"""Infobip's official Python client, as published, goes through the whole flow against the sandbox."""

import functools
import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.authorization import API_KEY, SEND_ONLY_KEY
from sandbox.quirks import Quirks
from tests.support.running import Sandbox, other_pin

TO = "4915112345678"


@functools.cache
def sdk() -> Any:
    """Import Infobip's client late: that takes two seconds, and each worker of pytest-xdist imports all test files."""
    return importlib.import_module("infobip_api_client")


def safe() -> Any:
    return sdk().TfaApplicationConfiguration(
        pinAttempts=3,
        allowMultiplePinVerifications=False,
        pinTimeToLive="10m",
        verifyPinLimit="10/3s",
        sendPinPerApplicationLimit="10000/1d",
        sendPinPerPhoneNumberLimit="4/1d",
    )


def application() -> Any:
    return sdk().TfaApplicationRequest(name="Shop", enabled=True, configuration=safe())


def new_template() -> Any:
    return sdk().TfaCreateMessageRequest(
        messageText="{{pin}} is your code, {{firstName}}.",
        pinType=sdk().TfaPinType.NUMERIC,
        pinLength=6,
        senderId="Shop",
        language=sdk().TfaLanguage.DE,
        repeatDTMF="1#",
        speechRate=1.5,
    )


def client(sandbox: Sandbox, key: str = API_KEY) -> Any:
    return sdk().TfaApi(sdk().ApiClient(sdk().Configuration(host=sandbox.url, api_key=key)))


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Any]:
    sandbox.empty()
    api = client(sandbox)
    yield api
    api.api_client.rest_client.pool_manager.clear()


@pytest.fixture
def application_id(api: Any) -> str:
    # The typed response is None: the client knows only status 200 for this call, but the contract says 201.
    created = json.loads(api.create_tfa_application_without_preload_content(application()).data)
    return str(created["applicationId"])


@pytest.fixture
def template(api: Any, application_id: str) -> Any:
    return api.create_tfa_message_template(application_id, new_template())


@pytest.fixture
def send_request(template: Any) -> Any:
    ids = {"applicationId": template.application_id, "messageId": template.message_id}
    return sdk().TfaStartAuthenticationRequest(to=TO, placeholders={"firstName": "Ada"}, **ids)


def guess(api: Any, pin_id: str, pin: str) -> Any:
    return api.verify_tfa_phone_number(pin_id, sdk().TfaVerifyPinRequest(pin=pin))


def test_sending_and_verifying(api: Any, sandbox: Sandbox, send_request: Any) -> None:
    sent = api.send_tfa_pin_code_over_sms(send_request)
    assert (sent.to, sent.nc_status, sent.sms_status) == (TO, "NC_DESTINATION_REACHABLE", "MESSAGE_SENT")
    pin = sandbox.pin(f"+{TO}")
    assert sandbox.messages[0].text == f"{pin} is your code, Ada."
    assert sandbox.messages[0].sender == "Shop"

    resent = api.resend_tfa_pin_code_over_sms(sent.pin_id, sdk().TfaResendPinRequest(placeholders={"firstName": "B"}))
    assert (resent.pin_id, sandbox.pins(f"+{TO}")) == (sent.pin_id, [pin, pin])
    assert sandbox.messages[1].text == f"{pin} is your code, B."

    no = guess(api, sent.pin_id, other_pin(pin))
    assert (no.verified, no.pin_error, no.attempts_remaining) == (False, "WRONG_PIN", 2)
    yes = guess(api, sent.pin_id, pin)
    assert (yes.verified, yes.pin_error, yes.attempts_remaining, yes.msisdn) == (True, None, 0, TO)
    again = guess(api, sent.pin_id, pin)
    assert (again.verified, again.pin_error) == (False, "NO_MORE_PIN_ATTEMPTS")


def test_an_expired_pin_has_its_own_error(api: Any, sandbox: Sandbox, send_request: Any) -> None:
    sent = api.send_tfa_pin_code_over_sms(send_request)
    sandbox.clock.ahead += 600
    expired = guess(api, sent.pin_id, sandbox.pin(f"+{TO}"))
    assert (expired.verified, expired.pin_error) == (False, "TTL_EXPIRED")


def test_used_up_attempts_have_their_own_error(api: Any, sandbox: Sandbox, send_request: Any) -> None:
    sent = api.send_tfa_pin_code_over_sms(send_request)
    pin = sandbox.pin(f"+{TO}")
    assert [guess(api, sent.pin_id, other_pin(pin)).attempts_remaining for _ in range(3)] == [2, 1, 0]
    assert guess(api, sent.pin_id, pin).pin_error == "NO_MORE_PIN_ATTEMPTS"


def test_the_verification_status_can_be_queried(api: Any, sandbox: Sandbox, send_request: Any) -> None:
    sent = api.send_tfa_pin_code_over_sms(send_request)
    application_id = send_request.application_id

    def status(**filters: bool) -> list[Any]:
        return list(api.get_tfa_verification_status(TO, application_id, **filters).verifications)

    (pending,) = status()
    assert (pending.msisdn, pending.verified, pending.verified_at) == (TO, False, 0)
    assert status(verified=True) == status(sent=False) == []
    guess(api, sent.pin_id, sandbox.pin(f"+{TO}"))
    (verified,) = status(verified=True, sent=True)
    assert verified.verified
    assert 0 <= verified.verified_at - verified.sent_at <= 60
    assert api.get_tfa_verification_status("4915100000000", application_id).verifications == []


def test_sending_over_voice_with_tracking(api: Any, sandbox: Sandbox, send_request: Any) -> None:
    sent = api.send_tfa_pin_code_over_voice(send_request.model_copy(update={"track_delivery": True}))
    assert (sent.call_status, sent.sms_status, sent.nc_status) == ("PENDING_ACCEPTED", None, None)
    assert len(sent.external_message_id) == 36
    resent = api.resend_tfa_pin_code_over_voice(sent.pin_id, sdk().TfaResendPinRequest())
    assert (resent.call_status, resent.external_message_id) == ("PENDING_ACCEPTED", None)
    assert [m.channel for m in sandbox.messages] == ["VOICE", "VOICE"]


def test_sending_over_email(api: Any, sandbox: Sandbox, application_id: str) -> None:
    made = api.create_tfa_email_message_template(
        application_id,
        sdk().TfaCreateEmailMessageRequest(emailTemplateId=1234, pinType="HEX", **{"from": "a@b.example"}),
    )
    assert (made.pin_length, made.pin_type, made.var_from) == (4, "HEX", "a@b.example")
    changed = sdk().TfaUpdateEmailMessageRequest(pinLength=8)
    made = api.update_tfa_email_message_template(application_id, made.message_id, changed)
    assert (made.pin_length, made.email_template_id) == (8, 1234)
    sent = api.send2fa_pin_code_over_email(
        sdk().TfaStartEmailAuthenticationRequest(
            applicationId=application_id, messageId=made.message_id, to="ada@example.com"
        )
    )
    assert (sent.to, sent.email_status.name) == ("ada@example.com", "PENDING_ACCEPTED")
    api.resend2fa_pin_code_over_email(sent.pin_id, sdk().TfaResendPinRequestViaEmail())
    assert len(sandbox.messages[0].pin.value) == 8
    yes = guess(api, sent.pin_id, sandbox.messages[1].pin.value)
    assert (yes.verified, yes.msisdn) == (True, "ada@example.com")


def test_applications_can_be_read_and_updated(api: Any, application_id: str) -> None:
    (listed,) = api.get_tfa_applications()
    assert api.get_tfa_application(application_id) == listed
    assert (listed.application_id, listed.name, listed.enabled) == (application_id, "Shop", True)
    assert listed.configuration == safe()
    off = sdk().TfaApplicationRequest(name="Shop 2", enabled=False)
    updated = api.update_tfa_application(application_id, off)
    assert (updated.name, updated.enabled, updated.configuration) == ("Shop 2", False, safe())


def test_templates_can_be_read_and_updated(api: Any, template: Any) -> None:
    ids = template.application_id, template.message_id
    assert (template.pin_placeholder, template.sender_id, template.language) == ("{{pin}}", "Shop", "de")
    assert (template.repeat_dtmf, template.speech_rate) == ("1#", 1.5)
    (listed,) = api.get_tfa_message_templates(ids[0])
    assert listed.message_id == ids[1]
    changed = sdk().TfaUpdateMessageRequest(messageText="Code: {{pin}}", pinLength=4)
    api.update_tfa_message_template(*ids, changed)
    read = api.get_tfa_message_template(*ids)
    assert (read.message_text, read.pin_length, read.pin_type, read.sender_id) == (
        "Code: {{pin}}",
        4,
        "NUMERIC",
        "Shop",
    )


def test_with_the_switch_the_client_understands_a_new_application(sandbox: Sandbox) -> None:
    sandbox.empty(Quirks(created_status="200"))
    assert client(sandbox).create_tfa_application(application()).configuration == safe()
    assert sandbox.violations == ["POST /2fa/2/applications: status 200 is not declared"]
    sandbox.violations.clear()


def test_every_refusal_raises_the_clients_own_exception(api: Any, sandbox: Sandbox, send_request: Any) -> None:
    bad = new_template().model_copy(update={"pin_length": 17})
    with pytest.raises(sdk().exceptions.BadRequestException) as refused:
        api.create_tfa_message_template(send_request.application_id, bad)
    details = refused.value.data.request_error.service_exception
    assert (details.message_id, details.text) == ("BAD_REQUEST", "Bad request")
    assert details.validation_errors == {"pinLength": ["Input should be less than or equal to 16"]}
    with pytest.raises(sdk().exceptions.UnauthorizedException):
        client(sandbox, "another-key").send_tfa_pin_code_over_sms(send_request)
    with pytest.raises(sdk().exceptions.ForbiddenException):
        client(sandbox, SEND_ONLY_KEY).get_tfa_applications()
    with pytest.raises(sdk().exceptions.NotFoundException):
        guess(api, "0933F3BC087D2A617AC6DCB2EF5B8A61", "123456")
    for _ in range(4):
        client(sandbox, SEND_ONLY_KEY).send_tfa_pin_code_over_sms(send_request)
    with pytest.raises(sdk().exceptions.ApiException, match="TOO_MANY_REQUESTS") as throttled:
        api.send_tfa_pin_code_over_sms(send_request)
    assert throttled.value.status == 429
    with pytest.raises(sdk().exceptions.ServiceException) as failed:
        api.send_tfa_pin_code_over_sms(send_request.model_copy(update={"to": "14155550102"}))
    assert failed.value.status == 500
