"""Requests as Infobip's published SDKs write them, sent by hand: the sandbox reads them as Infobip does."""

from typing import Any

import pytest
import requests

from sandbox.authorization import API_KEY, SEND_ONLY_KEY
from sandbox.model import Configuration
from sandbox.quirks import Quirks
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.infobip import (
    APPLICATION,
    APPLICATIONS,
    BAD,
    TEMPLATE,
    TEMPLATES,
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
from tests.support.running import Sandbox
from tests.web.test_channels import address_of

PHONE = f"+{TO}"
UNREACHABLE = "14155550101"
STATUS = f"{APPLICATION}/verifications"


def found(sandbox: Sandbox, query: str) -> int:
    """Return how many verifications a query finds."""
    status, answer = call(sandbox.url, "GET", f"{STATUS}?{query}")
    assert status == 200
    return len(answer["verifications"])


@pytest.mark.parametrize(
    ("value", "looked_up"),
    [
        *dict.fromkeys(("true", "True", "TRUE", "1", "yes", "on", " true"), True).items(),
        *dict.fromkeys(("false", "False", "FALSE", "0", "no", "Off"), False).items(),
        *dict.fromkeys(("undefined", "null", "None", ""), True).items(),
    ],
)
def test_a_boolean_of_a_query_may_have_several_spellings(sandbox: Sandbox, value: str, looked_up: bool) -> None:
    """Python clients write True. JavaScript clients write undefined for a parameter that is not set."""
    status, sent = send(sandbox.url, path=f"/pin?ncNeeded={value}")
    assert (status, "ncStatus" in sent) == (200, looked_up)


@pytest.mark.parametrize("value", ["maybe", "2", "-1", "truefalse", "none of them"])
def test_an_invalid_boolean_of_a_query_is_refused(sandbox: Sandbox, value: str) -> None:
    assert error(send(sandbox.url, path=f"/pin?ncNeeded={value}")) == BAD
    for name in ("verified", "sent"):
        assert error(call(sandbox.url, "GET", f"{STATUS}?msisdn={TO}&{name}={value}")) == BAD


def test_null_means_that_a_member_is_not_set(sandbox: Sandbox) -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("from", "placeholders", "landingPagePlaceholders", "trackDelivery", "unknown")
    )
    status, sent = send(sandbox.url, TO, **nothing)
    assert (status, "externalMessageId" in sent) == (200, False)
    assert resend(sandbox.url, sent["pinId"], **nothing)[0] == 200
    assert send(sandbox.url, placeholders={"firstName": None})[0] == 200

    limits = dict.fromkeys(("allowMultiplePinVerifications", "pinTimeToLive", "verifyPinLimit"))
    application = {
        "name": "Shop",
        "applicationId": None,
        "enabled": None,
        "configuration": {"pinAttempts": 5, **limits},
    }
    status, made = call(sandbox.url, "POST", APPLICATIONS, application)
    assert (status, made["enabled"], made["configuration"]["pinTimeToLive"]) == (201, True, "15m")
    path = f"{APPLICATIONS}/{made['applicationId']}"
    assert call(sandbox.url, "PUT", path, {"name": "Shop", "enabled": None, "configuration": None}) == (200, made)

    words = dict.fromkeys(
        ("pinLength", "language", "senderId", "voiceName", "repeatDTMF", "speechRate", "regional", "messageId")
    )
    template = {"messageText": "{{pin}}", "pinType": "NUMERIC", **words}
    status, made = call(sandbox.url, "POST", TEMPLATES, template)
    assert (status, made["pinLength"], "language" in made) == (200, 4, False)
    path = f"{TEMPLATES}/{made['messageId']}"
    assert call(sandbox.url, "PUT", path, {"messageText": None, **words}) == (200, made)


@pytest.mark.parametrize("member", ["applicationId", "messageId", "to"])
def test_null_for_a_required_member_is_refused(sandbox: Sandbox, member: str) -> None:
    body: dict[str, Any] = {member: None}
    assert wrong_fields(send(sandbox.url, **body)).keys() == {member}


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"{}", b"null", b"", b"\n"], ids=repr)
@pytest.mark.parametrize("path", ["resend", "resend/voice"])
def test_the_body_of_a_resend_may_be_empty(sandbox: Sandbox, body: bytes, path: str) -> None:
    """PHP clients write an empty object as an empty array."""
    url = f"{sandbox.url}/2fa/2/pin/{send(sandbox.url)[1]['pinId']}/{path}"
    headers = {"Authorization": f"App {API_KEY}", "Content-Type": "application/json", "Connection": "close"}
    assert requests.post(url, data=body, headers=headers, timeout=5).status_code == 200


def test_an_empty_array_is_read_as_an_empty_object(sandbox: Sandbox) -> None:
    status, sent = send(sandbox.url, placeholders=[])
    assert status == 200
    assert resend(sandbox.url, sent["pinId"], placeholders=[], landingPagePlaceholders=[])[0] == 200
    assert call(sandbox.url, "PUT", APPLICATION, {"name": "x", "configuration": []})[0] == 200
    assert call(sandbox.url, "PUT", TEMPLATE, {"regional": []})[0] == 200
    assert wrong_fields(resend(sandbox.url, sent["pinId"], placeholders=["x"])).keys() == {"placeholders"}


@pytest.mark.parametrize("slash", ["/", "//"])
def test_a_slash_at_the_end_of_a_path_is_ignored(sandbox: Sandbox, slash: str) -> None:
    for path in (APPLICATIONS, APPLICATION, TEMPLATES, TEMPLATE):
        assert call(sandbox.url, "GET", path + slash) == call(sandbox.url, "GET", path)
    status, sent = send(sandbox.url, path=f"/pin{slash}?ncNeeded=undefined")
    assert status == 200
    assert send(sandbox.url, path=f"/pin/voice{slash}")[0] == 200
    assert resend(sandbox.url, sent["pinId"], f"/resend{slash}")[0] == 200
    key = f"App {SEND_ONLY_KEY}"
    assert call(sandbox.url, "GET", f"{STATUS}{slash}?msisdn={TO}", authorization=key)[0] == 200
    assert call(sandbox.url, "POST", f"/pin/{sent['pinId']}/verify{slash}", {"pin": sandbox.pins(PHONE)[0]})[1][
        "verified"
    ]
    assert requests.get(f"{sandbox.url}/inbox{slash}", timeout=5).status_code == 200


def test_an_extra_slash_does_not_bypass_the_authorization(sandbox: Sandbox) -> None:
    """A base URL that ends in a slash leads to such paths."""
    for path in ("//2fa/2/applications", "/2fa//2/applications", "//2fa/2/applications/"):
        url = f"{sandbox.url}{path}"
        assert requests.get(url, timeout=5).status_code == 401
        assert requests.get(url, headers={"Authorization": f"App {SEND_ONLY_KEY}"}, timeout=5).status_code == 403
        assert requests.get(url, headers={"Authorization": f"App {API_KEY}"}, timeout=5).status_code == 200


def test_numbers_are_accepted_for_strings_of_digits(sandbox: Sandbox) -> None:
    sandbox.reset(fixed_pin="1234", message_text="{{pin}} {{room}}")
    numbers: dict[str, Any] = {"from": 447491163443, "placeholders": {"room": 7}}
    status, sent = send(sandbox.url, int(TO), **numbers)
    assert (status, sent["to"], sandbox.messages[0].sender) == (200, TO, "447491163443")
    assert sandbox.messages[0].text == "123412 7"
    assert call(sandbox.url, "POST", f"/pin/{sent['pinId']}/verify", {"pin": 123412})[1]["verified"] is True
    path = f"/pin/{sent['pinId']}/verify"
    not_strings: tuple[Any, ...] = (True, [], {})
    for each in not_strings:
        assert wrong_fields(call(sandbox.url, "POST", path, {"pin": each})).keys() == {"pin"}
        assert wrong_fields(send(sandbox.url, to=each)).keys() == {"to"}
    assert wrong_fields(send(sandbox.url, to=4.5)).keys() == {"to"}


@pytest.mark.parametrize("written", ["pt-br", "pt_br", "PT-BR", "pt_BR"])
def test_a_language_may_have_a_dash_and_capitals(sandbox: Sandbox, written: str) -> None:
    assert call(sandbox.url, "PUT", TEMPLATE, {"language": written})[1]["language"] == "pt_br"


@pytest.mark.parametrize(("missing_times", "times"), [("zero", {"verifiedAt": 0, "sentAt": 0}), ("absent", {})])
def test_missing_times_are_zero_or_absent(sandbox: Sandbox, missing_times: str, times: dict[str, int]) -> None:
    sandbox.reset(quirks=Quirks(missing_times=missing_times))
    send(sandbox.url, UNREACHABLE)
    (shown,) = call(sandbox.url, "GET", f"{STATUS}?msisdn={UNREACHABLE}")[1]["verifications"]
    assert shown == {"msisdn": UNREACHABLE, "verified": False, **times}
    verify(sandbox.url, send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE))
    (shown,) = call(sandbox.url, "GET", f"{STATUS}?msisdn={TO}")[1]["verifications"]
    assert shown["verifiedAt"] >= shown["sentAt"] > 1_700_000_000


@pytest.mark.parametrize("text", ["The third verification code is {pin}", "{{ pin }}", "no code"])
def test_a_text_without_the_pin_is_accepted_or_refused(sandbox: Sandbox, text: str) -> None:
    template: dict[str, Any] = {"messageText": text, "pinType": "NUMERIC"}
    status, made = call(sandbox.url, "POST", TEMPLATES, template)
    assert (status, made["messageText"]) == (200, text)
    assert call(sandbox.url, "PUT", TEMPLATE, {"messageText": text})[0] == 200
    send(sandbox.url)
    assert sandbox.messages[0].text == text
    sandbox.reset(quirks=Quirks(text_without_pin="refused"))
    assert wrong_fields(call(sandbox.url, "POST", TEMPLATES, template)).keys() == {"messageText"}
    assert wrong_fields(call(sandbox.url, "PUT", TEMPLATE, {"messageText": text})).keys() == {"messageText"}
    assert call(sandbox.url, "PUT", TEMPLATE, {"senderId": "Shop"})[0] == 200


@pytest.mark.parametrize(("counts", "last"), [(False, 200), (True, 429)])
def test_whether_a_resend_counts_against_the_send_limit(sandbox: Sandbox, counts: bool, last: int) -> None:
    """There are four messages, two of them resends, under the default limit of three sends a day."""
    sandbox.reset(Configuration(), Quirks(resend_counts=counts))
    first = send(sandbox.url)[1]["pinId"]
    assert resend(sandbox.url, first)[0] == 200
    second = send(sandbox.url, path="/pin/voice")[1]["pinId"]
    assert resend(sandbox.url, second, "/resend/voice")[0] == last
    assert send(sandbox.url)[0] == last
    assert error(send(sandbox.url)) == THROTTLED


FILTERS = [
    ("verified=false&sent=false", 3, 1),
    ("sent=false&verified=False", 3, 1),
    ("verified=true&sent=false", 1, 0),
    ("verified=undefined&sent=undefined", 3, 3),
    ("verified=true", 1, 1),
    ("verified=false", 2, 2),
    ("sent=true", 2, 2),
    ("sent=false", 1, 1),
    ("verified=false&sent=true", 1, 1),
    ("", 3, 3),
]


@pytest.mark.parametrize(("query", "unset", "applied"), FILTERS)
def test_false_filters_are_ignored_or_applied(sandbox: Sandbox, query: str, unset: int, applied: int) -> None:
    """Go clients send false for unset filters. One PIN is verified, one is pending and one could not be sent."""
    for false_filters, expected in (("unset", unset), ("applied", applied)):
        sandbox.reset(quirks=Quirks(false_filters=false_filters))
        verify(sandbox.url, send(sandbox.url)[1]["pinId"], sandbox.pin(PHONE))
        send(sandbox.url)
        send(sandbox.url, UNREACHABLE)
        assert found(sandbox, query) == expected, false_filters


def test_a_query_without_a_number_finds_all_verifications_or_is_refused(sandbox: Sandbox) -> None:
    send(sandbox.url)
    send(sandbox.url, "14155552671")
    assert (found(sandbox, ""), found(sandbox, "verified=true"), found(sandbox, f"msisdn=%2B{TO}")) == (2, 0, 1)
    other = call(sandbox.url, "POST", APPLICATIONS, {"name": "Other"})[1]["applicationId"]
    assert call(sandbox.url, "GET", f"{APPLICATIONS}/{other}/verifications") == (200, {"verifications": []})
    sandbox.reset(quirks=Quirks(missing_msisdn="refused"))
    assert error(call(sandbox.url, "GET", STATUS)) == BAD
    assert found(sandbox, f"msisdn={TO}") == 0


@pytest.mark.parametrize("length", [100, 101, 254])
def test_an_email_address_may_have_254_characters(sandbox: Sandbox, length: int) -> None:
    to = address_of(length)
    status, sent = send(sandbox.url, to, "/pin/email", messageId=EMAIL_MESSAGE_ID)
    assert (status, sent["to"]) == (200, to)
    (shown,) = call(sandbox.url, "GET", f"{STATUS}?msisdn={to}")[1]["verifications"]
    assert shown["msisdn"] == to


def test_long_values_are_accepted_since_the_contract_sets_no_lengths(sandbox: Sandbox) -> None:
    long = "x" * 5000
    status, made = call(sandbox.url, "POST", APPLICATIONS, {"name": long})
    assert (status, made["name"]) == (201, long)
    text = {"messageText": f"{{{{pin}}}} {long}", "senderId": long, "voiceName": long, "repeatDTMF": ""}
    assert call(sandbox.url, "PUT", TEMPLATE, text)[0] == 200
    status, sent = send(sandbox.url, placeholders={"a": long}, **{"from": ""})
    assert (status, sandbox.messages[0].sender) == (200, long)
    assert error(send(sandbox.url, messageId=long)) == error(send(sandbox.url, applicationId=long)) == UNKNOWN
    assert verify(sandbox.url, sent["pinId"], long)[1]["pinError"] == "WRONG_PIN"
    assert error(send(sandbox.url, placeholders={"a": "x" * 1024 * 1024}))[0] == 413
