"""Two more published clients of Infobip go through the whole flow: the JavaScript SDK and the community's Python SDK.

Each runs in its own process, because neither can be loaded together with the service.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.authorization import API_KEY
from sandbox.quirks import Quirks
from tests.support import npm_tools
from tests.support.running import ROOT, Sandbox, other_pin

Call = Callable[..., Any]
TO = "4915112345678"
PYTHON = Path(sys.prefix) / "sdk/bin/python"
CONFIGURATION = {
    "pinAttempts": 3,
    "allowMultiplePinVerifications": False,
    "pinTimeToLive": "10m",
    "verifyPinLimit": "10/3s",
    "sendPinPerApplicationLimit": "10000/1d",
    "sendPinPerPhoneNumberLimit": "3/1d",
}
TEMPLATE = {"messageText": "{{pin}} for {{name}}", "pinType": "NUMERIC", "pinLength": 6, "language": "pt-br"}


@contextmanager
def caller(command: list[str], sandbox: Sandbox, **environment: str) -> Iterator[Call]:
    """Yield a function that calls a method of a client, expects a status of its response and returns its data."""
    sandbox.empty()
    inherited = {"PATH": os.environ["PATH"], **environment}

    def call(method: str, *arguments: Any, status: int = 200) -> Any:
        process.stdin.write(json.dumps([method, arguments]) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert answer["status"] == status, answer
        assert status != 200 or answer.get("read", True), answer
        return answer["data"]

    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process: Any = subprocess.Popen([*command, sandbox.url, API_KEY], env=inherited, text=True, **pipes)
    with process:
        try:
            yield call
        finally:
            process.kill()


@pytest.fixture
def javascript(sandbox: Sandbox) -> Iterator[Call]:
    npm_tools.require(npm_tools.MODULES / "@infobip-api/sdk")
    with caller(["node", str(ROOT / "tests/sdk/call.cjs")], sandbox, NODE_PATH=str(npm_tools.MODULES)) as call:
        yield call


@pytest.fixture
def python(sandbox: Sandbox) -> Iterator[Call]:
    npm_tools.require(PYTHON)
    with caller([str(PYTHON), "-W", "ignore", str(ROOT / "tests/sdk/call.py")], sandbox) as call:
        yield call


def test_the_javascript_client_works(javascript: Call, sandbox: Sandbox) -> None:
    made = javascript("createApplication", {"name": "Shop", "configuration": CONFIGURATION}, status=201)
    app = made["applicationId"]
    assert javascript("updateApplication", app, {"name": "Shop 2"})["configuration"] == CONFIGURATION
    assert [each["name"] for each in javascript("getApplications")] == ["Shop 2"]
    template = javascript("createMessageTemplate", app, TEMPLATE)["messageId"]
    assert javascript("updateMessageTemplate", app, template, TEMPLATE)["language"] == "pt_br"
    assert javascript("getMessageTemplate", app, template) == javascript("getMessageTemplates", app)[0]

    # Without its second argument, the client requests /pin/ with ncNeeded=undefined.
    send_request = {"applicationId": app, "messageId": template, "to": TO, "placeholders": {"name": "Ada"}}
    sent = javascript("sendPINCodeSMS", send_request)
    assert (sent["to"], sent["smsStatus"], sent["ncStatus"]) == (TO, "MESSAGE_SENT", "NC_DESTINATION_REACHABLE")
    assert "ncStatus" not in javascript("sendPINCodeSMS", send_request, False)
    assert javascript("resendPINCodeSMS", sent["pinId"])["pinId"] == sent["pinId"]
    assert javascript("resendPINCodeVoice", sent["pinId"], {"placeholders": {"name": "B"}})["callStatus"]
    assert javascript("sendPINCodeVoice", send_request)["callStatus"] == "PENDING_ACCEPTED"
    javascript("sendPINCodeSMS", send_request, status=429)

    pin = sandbox.pins(f"+{TO}")[0]
    assert javascript("verifyPhoneNumber", sent["pinId"], {"pin": other_pin(pin)})["pinError"] == "WRONG_PIN"
    assert javascript("verifyPhoneNumber", sent["pinId"], {"pin": pin})["verified"] is True
    found = javascript("getVerificationStatus", app, {"msisdn": TO})["verifications"]
    assert [each["verifiedAt"] > 0 for each in found] == [True, False, False]
    assert len(javascript("getVerificationStatus", app, {"msisdn": TO, "verified": True})["verifications"]) == 1
    unset = {"msisdn": TO, "verified": None, "sent": None}
    assert len(javascript("getVerificationStatus", app, unset)["verifications"]) == 3


def test_the_communitys_python_client_works(python: Call, sandbox: Sandbox) -> None:
    made = python("create_tfa_application", {"name": "Shop", "configuration": {"pinAttempts": 3}}, status=201)
    app = made["applicationId"]
    assert (made["configuration"]["pinAttempts"], made["configuration"]["pinTimeToLive"]) == (3, "15m")
    updated = python("update_tfa_application", app, {"name": "Shop 2", "configuration": CONFIGURATION})
    assert (updated["name"], updated["enabled"], updated["configuration"]) == ("Shop 2", True, CONFIGURATION)
    assert python("get_tfa_applications") == [updated]
    assert python("get_tfa_application", app) == updated
    template = {**TEMPLATE, "language": "en", "pinPlaceholder": "{{pin}}"}
    message = python("create_tfa_message_template", app, template)["messageId"]
    python("update_tfa_message_template", app, message, {**template, "messageText": "The third code is {pin}"})
    python("update_tfa_message_template", app, message, template)
    assert python("get_tfa_message_templates", app) == [python("get_tfa_message_template", app, message)]

    send_request = {"applicationId": app, "messageId": message, "to": TO, "placeholders": {"name": "Ada"}}
    sent = python("send_pin_over_sms", {"ncNeeded": True}, send_request)
    assert sent["ncStatus"] == "NC_DESTINATION_REACHABLE"
    assert "ncStatus" not in python("send_pin_over_sms", {"ncNeeded": False}, send_request)
    assert python("resend_pin_over_sms", sent["pinId"], {})["pinId"] == sent["pinId"]
    assert python("resend_pin_over_voice", sent["pinId"], {"placeholders": {"name": "B"}})["callStatus"]
    assert python("send_pin_over_voice", {"ncNeeded": True}, send_request)["callStatus"] == "PENDING_ACCEPTED"

    pin = sandbox.pins(f"+{TO}")[0]
    assert python("verify_phone_number", sent["pinId"], {"pin": other_pin(pin)})["pinError"] == "WRONG_PIN"
    assert python("verify_phone_number", sent["pinId"], {"pin": pin})["verified"] is True
    found = python("get_tfa_verification_status", app, {"msisdn": TO})["verifications"]
    assert [each["verifiedAt"] > 0 for each in found] == [True, False, False]
    filters = {"msisdn": TO, "verified": True, "sent": True}
    assert len(python("get_tfa_verification_status", app, filters)["verifications"]) == 1


def test_that_client_cannot_read_absent_times(python: Call, sandbox: Sandbox) -> None:
    """This is evidence for the switch missing_times: the client cannot read a verification without verifiedAt."""
    sandbox.reset(quirks=Quirks(missing_times="absent"))
    ids = {"applicationId": "sandbox-application", "messageId": "sandbox-message"}
    python("send_pin_over_sms", {}, {**ids, "to": TO})
    with pytest.raises(AssertionError, match="'read': False"):
        python("get_tfa_verification_status", ids["applicationId"], {"msisdn": TO})
