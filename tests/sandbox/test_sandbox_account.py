"""The local Infobip: API keys, applications, templates and errors."""

import base64
import socket
from typing import Any

import pytest
import requests

from sandbox.authorization import API_KEY, MANAGE_KEY, SEND_ONLY_KEY
from sandbox.grammar import DAY, YEAR, Limit, seconds
from sandbox.server import make_server
from tests.support import contract
from tests.support.infobip import (
    APPLICATION,
    APPLICATIONS,
    BAD,
    TEMPLATE,
    TEMPLATES,
    TO,
    UNKNOWN,
    call,
    error,
    send,
    wrong_fields,
)
from tests.support.running import Sandbox

EMAIL_TEMPLATES = f"{APPLICATION}/email/messages"
LOGIN = base64.b64encode(f"sandbox:{API_KEY}".encode()).decode()


@pytest.mark.parametrize("scheme", ["App", "APP", "app", "Bearer", "bearer", "IBSSO", "ibsso", "Basic", "BASIC"])
@pytest.mark.parametrize("spaces", [" ", "  "])
def test_every_authorization_scheme_is_accepted_in_any_case(sandbox: Sandbox, scheme: str, spaces: str) -> None:
    given = f"{scheme}{spaces}{LOGIN if scheme.lower() == 'basic' else API_KEY}"
    assert call(sandbox.url, "GET", APPLICATIONS, authorization=given)[0] == 200


@pytest.mark.parametrize(
    "given",
    [
        "",
        API_KEY,
        "App other",
        "App",
        f"Ap {API_KEY}",
        f"App {API_KEY.upper()}",
        f"Digest {API_KEY}",
        f"Basic {API_KEY}",
        "Basic w6Q6",
        "App é",
    ],
)
def test_an_invalid_authorization_is_refused(sandbox: Sandbox, given: str) -> None:
    answer = call(sandbox.url, "GET", APPLICATIONS, authorization=given.encode().decode("latin-1"))
    assert error(answer) == (401, "UNAUTHORIZED")


def test_a_send_only_key_may_not_manage_the_account(sandbox: Sandbox) -> None:
    """The scope 2fa:pin:send allows requests for PINs and their status, and no others."""
    key = f"App {SEND_ONLY_KEY}"
    for method, path in (("GET", APPLICATIONS), ("POST", TEMPLATES), ("PUT", TEMPLATE), ("GET", APPLICATION)):
        assert error(call(sandbox.url, method, path, {}, key)) == (403, "FORBIDDEN")
    assert call(sandbox.url, "GET", f"{APPLICATION}/verifications?msisdn={TO}", authorization=key)[0] == 200
    assert error(call(sandbox.url, "POST", "/pin", {}, key)) == BAD


def test_subscriptions_are_kept_by_id(sandbox: Sandbox) -> None:
    """They follow the contract of the Subscriptions API and need a key with its scope."""
    root, key = f"{sandbox.url}/subscriptions/1", {"Authorization": f"App {API_KEY}"}

    def exchange(method: str, path: str, body: Any = None, headers: Any = key) -> tuple[int, Any]:
        response = requests.request(method, f"{root}/{path}", json=body, headers=headers, timeout=5)
        return response.status_code, response.json()

    profile, sms = {"profileId": "P", "webhook": {"notifyUrl": "https://x"}}, "subscription/SMS"
    subscription = {"subscriptionId": "S", "events": ["DELIVERY"], "profile": {"profileId": "P"}}
    assert error(exchange("POST", sms, subscription)) == BAD, "there is no such profile"
    assert exchange("POST", "profiles", profile) == (201, {"profileId": "P"})
    assert error(exchange("POST", "profiles", profile)) == BAD, "it is there already"
    assert exchange("POST", sms, subscription)[0] == 201
    assert exchange("PUT", "profiles/P", {"maxBucketSize": 5})[0] == 200
    assert exchange("GET", "profiles?size=100")[1]["results"] == [{**profile, "maxBucketSize": 5}]
    assert exchange("GET", sms)[1]["results"] == [subscription]
    assert exchange("GET", "subscription/VOICE_VIDEO")[1]["results"] == []
    assert error(exchange("PUT", f"{sms}/other", subscription)) == UNKNOWN
    assert exchange("GET", "subscription/EMAIL")[0] == 404
    for given in (SEND_ONLY_KEY, MANAGE_KEY):
        assert error(exchange("GET", "profiles", headers={"Authorization": f"App {given}"})) == (403, "FORBIDDEN")


def test_an_application_has_infobips_defaults_and_keeps_what_a_put_omits(sandbox: Sandbox) -> None:
    status, made = call(sandbox.url, "POST", APPLICATIONS, {"name": "Shop", "configuration": {"pinAttempts": "5"}})
    defaults = {
        "pinAttempts": 5,
        "allowMultiplePinVerifications": True,
        "pinTimeToLive": "15m",
        "verifyPinLimit": "1/3s",
        "sendPinPerApplicationLimit": "10000/1d",
        "sendPinPerPhoneNumberLimit": "3/1d",
    }
    assert (status, made["name"], made["enabled"], made["configuration"]) == (201, "Shop", True, defaults)
    path, changes = f"{APPLICATIONS}/{made['applicationId']}", {"configuration": {"pinTimeToLive": "h"}}
    changed = call(sandbox.url, "PUT", path, {"name": "Shop", "enabled": "false", **changes})[1]
    assert changed == {**made, "enabled": False, "configuration": {**defaults, "pinTimeToLive": "h"}}
    assert call(sandbox.url, "GET", path) == (200, changed)
    assert changed in call(sandbox.url, "GET", APPLICATIONS)[1]


BAD_APPLICATIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": None}, "name"),
    ({"name": True}, "name"),
    ({"name": "x", "enabled": "perhaps"}, "enabled"),
    ({"name": "x", "configuration": [1]}, "configuration"),
    ({"name": "x", "configuration": {"pinAttempts": 0}}, "configuration.pinAttempts"),
    ({"name": "x", "configuration": {"pinAttempts": 2**31}}, "configuration.pinAttempts"),
    ({"name": "x", "configuration": {"pinTimeToLive": "366d"}}, "configuration.pinTimeToLive"),
    ({"name": "x", "configuration": {"verifyPinLimit": "1/2d"}}, "configuration.verifyPinLimit"),
    ({"name": "x", "configuration": {"sendPinPerApplicationLimit": "1"}}, "configuration.sendPinPerApplicationLimit"),
    ({"name": "x", "configuration": {"sendPinPerPhoneNumberLimit": 3}}, "configuration.sendPinPerPhoneNumberLimit"),
]


@pytest.mark.parametrize(("body", "field"), BAD_APPLICATIONS, ids=str)
def test_an_invalid_application_is_refused(sandbox: Sandbox, body: dict[str, Any], field: str) -> None:
    assert wrong_fields(call(sandbox.url, "POST", APPLICATIONS, body)).keys() == {field}
    assert wrong_fields(call(sandbox.url, "PUT", APPLICATION, body)).keys() == {field}


GOOD = {"messageText": "{{pin}}", "pinType": "NUMERIC"}
REGIONAL = {"indiaDlt": {"principalEntityId": "1" * 30}}
BAD_TEMPLATES: list[tuple[dict[str, Any], str]] = [
    ({"pinType": "NUMERIC"}, "messageText"),
    ({"messageText": "{{pin}}"}, "pinType"),
    ({**GOOD, "messageText": None}, "messageText"),
    ({**GOOD, "pinType": "HEXA"}, "pinType"),
    ({**GOOD, "pinLength": 0}, "pinLength"),
    ({**GOOD, "pinLength": 17}, "pinLength"),
    ({**GOOD, "language": "tlh"}, "language"),
    ({**GOOD, "speechRate": 0.4}, "speechRate"),
    ({**GOOD, "speechRate": 2.1}, "speechRate"),
    ({**GOOD, "regional": {"indiaDlt": {}}}, "regional.indiaDlt.principalEntityId"),
    ({**GOOD, "regional": {"indiaDlt": {"principalEntityId": "1" * 31}}}, "regional.indiaDlt.principalEntityId"),
]


@pytest.mark.parametrize(("body", "field"), BAD_TEMPLATES, ids=str)
def test_an_invalid_template_is_refused(sandbox: Sandbox, body: dict[str, Any], field: str) -> None:
    assert wrong_fields(call(sandbox.url, "POST", TEMPLATES, body)).keys() == {field}


def test_a_template_is_returned_as_it_was_created(sandbox: Sandbox) -> None:
    given = {
        **GOOD,
        "pinLength": 8,
        "language": "pt_br",
        "voiceName": "Joanna",
        "speechRate": 2.0,
        "regional": REGIONAL,
    }
    status, made = call(sandbox.url, "POST", TEMPLATES, given)
    assert status == 200
    assert made.items() >= {**given, "pinPlaceholder": "{{pin}}"}.items()
    path = f"{TEMPLATES}/{made['messageId']}"
    assert call(sandbox.url, "PUT", path, {"senderId": "Shop"}) == (200, {**made, "senderId": "Shop"})
    assert call(sandbox.url, "GET", path)[1]["messageText"] == "{{pin}}"


def test_email_templates_have_their_own_endpoints_for_writing_only(sandbox: Sandbox) -> None:
    assert wrong_fields(call(sandbox.url, "POST", EMAIL_TEMPLATES, {"pinLength": 4})).keys() == {"emailTemplateId"}
    status, made = call(sandbox.url, "POST", EMAIL_TEMPLATES, {"emailTemplateId": 7, "landingPageId": "1_2"})
    assert (status, made["pinLength"], made["pinType"], "messageText" in made) == (200, 4, "NUMERIC", False)
    assert call(sandbox.url, "GET", f"{TEMPLATES}/{made['messageId']}") == (200, made)
    assert made in call(sandbox.url, "GET", TEMPLATES)[1]
    assert error(call(sandbox.url, "PUT", f"{TEMPLATES}/{made['messageId']}", {"pinLength": 5})) == UNKNOWN
    assert error(call(sandbox.url, "PUT", TEMPLATE.replace("/messages", "/email/messages"), {})) == UNKNOWN


def test_unknown_ids_and_paths_are_refused(sandbox: Sandbox) -> None:
    other = call(sandbox.url, "POST", APPLICATIONS, {"name": "Other"})[1]["applicationId"]
    elsewhere = TEMPLATE.replace(APPLICATION, f"{APPLICATIONS}/{other}")
    for path in (f"{APPLICATIONS}/x", f"{APPLICATIONS}/x/messages", f"{TEMPLATES}/x", elsewhere, "/pin", "/x/y"):
        assert error(call(sandbox.url, "GET", path))[0] == (405 if path == "/pin" else 404)
    assert error(call(sandbox.url, "GET", f"{APPLICATIONS}/x/verifications?msisdn={TO}")) == UNKNOWN
    assert error(send(sandbox.url, applicationId="x")) == error(send(sandbox.url, applicationId=other)) == UNKNOWN
    assert error(call(sandbox.url, "POST", "/pin/ABC/verify", {"pin": "1"})) == UNKNOWN


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"null", b"[" * 100_000], ids=lambda b: str(b[:9]))
def test_a_body_that_is_not_a_json_object_is_refused(sandbox: Sandbox, body: bytes) -> None:
    headers = {"Authorization": f"App {API_KEY}", "Connection": "close"}
    response = requests.post(f"{sandbox.url}/2fa/2/pin", data=body, headers=headers, timeout=5)
    assert error((response.status_code, response.json())) == BAD


def test_members_with_other_names_are_ignored(sandbox: Sandbox) -> None:
    assert wrong_fields(call(sandbox.url, "POST", TEMPLATES, {"message_text": "{{pin}}", "pinType": "HEX"}))


def test_all_18_operations_exist(sandbox: Sandbox) -> None:
    """Each operation of the contract is routed: even for an unknown id, the response has Infobip's format."""
    assert len(contract.operations()) == 18
    for path, item in contract.CONTRACT["paths"].items():
        for method in item:
            filled = path.replace("{", "").replace("}", "").removeprefix("/2fa/2")
            answer = call(sandbox.url, method, filled, {"name": "x"})
            assert answer[0] in (200, 201) or answer[1]["requestError"]["serviceException"]["text"] in (
                "Requested resource not found",
                "Bad request",
            )


@pytest.mark.parametrize(("text", "value"), [("10m", 600), ("h", 3600), ("500ms", 0.5), ("365d", YEAR), ("1s", 1)])
def test_durations_are_parsed(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "10", "m10", "10 m", "-1s", "1w", "0s", "366d", "10M", "1.5h", "٣s", "10m\n"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        seconds(text)


def test_limits_are_parsed() -> None:
    assert Limit.parse("3/1d", DAY) == Limit(3, DAY)
    assert Limit.parse("2/s") == Limit(2, 1)
    for text in ("3", "/1d", "x/1d", "3/", "0/1d", "3/0d", "3/25h", " 3/d"):
        with pytest.raises(ValueError, match="must be"):
            Limit.parse(text, DAY)


def test_responses_are_sent_without_delay() -> None:
    """Without TCP_NODELAY, the second packet of a response could wait 40 ms on a kept connection."""
    server = make_server(("127.0.0.1", 0), lambda *_: [])
    assert server.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    server.stop()
