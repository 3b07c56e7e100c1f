"""The account at Infobip is compared with the settings. Each difference has its finding."""

from typing import Any

import pytest

from cli.account_check.differences import compare
from cli.findings import Finding
from config import Settings
from otp.infobip.account import Application, Template
from tests.support.running import ACCOUNT

CONFIGURATION = {
    "pinAttempts": 5,
    "allowMultiplePinVerifications": False,
    "pinTimeToLive": "10m",
    "verifyPinLimit": "5/3s",
    "sendPinPerApplicationLimit": "10000/1d",
    "sendPinPerPhoneNumberLimit": "53/1d",
}
TEMPLATE = {"messageText": "{{pin}} is your code.", "pinLength": 6, "pinType": "NUMERIC"}


def settings(**given: Any) -> Settings:
    account = {name.lower(): value for name, value in ACCOUNT.items()}
    return Settings(infobip_base_url="https://x", redis_url="redis://x", **account, **given)


def found(
    own: Settings, configuration: dict[str, Any] | None = None, enabled: Any = True, **template: Any
) -> dict[str, Finding]:
    application = {"enabled": enabled, "configuration": {**CONFIGURATION, **(configuration or {})}}
    templates = {own.infobip_2fa_msg_id: Template.model_validate({**TEMPLATE, **template})}
    findings = compare(own, Application.model_validate(application), templates)
    return {finding.name: finding for finding in findings if finding.status != "ok"}


def test_equal_values_have_no_findings() -> None:
    assert found(settings()) == {}
    assert found(settings(), {"pinTimeToLive": "600s", "sendPinPerPhoneNumberLimit": "53/24h"}) == {}


@pytest.mark.parametrize(
    ("field", "value", "name", "status", "expected"),
    [
        ("pinTimeToLive", "9m", "PIN time to live", "error", "after 9m"),
        ("pinTimeToLive", "11m", "PIN time to live", "warning", "11m at Infobip"),
        ("pinTimeToLive", None, "PIN time to live", "warning", "does not say"),
        ("pinTimeToLive", "soon", "PIN time to live", "warning", "does not say"),
        ("pinAttempts", 4, "PIN attempts", "warning", "There are 4 at Infobip"),
        ("pinAttempts", 6, "PIN attempts", "warning", "There are 6 at Infobip"),
        ("pinAttempts", "many", "PIN attempts", "warning", "does not say"),
        ("allowMultiplePinVerifications", True, "PIN reuse", "warning", "more than once"),
        ("allowMultiplePinVerifications", None, "PIN reuse", "warning", "does not say"),
        ("verifyPinLimit", "1/3s", "verifies of a phone", "warning", "1/3s"),
        ("verifyPinLimit", "9/31s", "verifies of a phone", "warning", "9/31s"),
        ("sendPinPerApplicationLimit", "9999/1d", "sends in all", "warning", "9999/1d"),
        ("sendPinPerPhoneNumberLimit", "52/1d", "sends to a phone", "warning", "(5/1h, 53/1d)"),
        ("sendPinPerPhoneNumberLimit", [], "sends to a phone", "warning", "does not say"),
    ],
)
def test_a_different_application_is_reported(field: str, value: Any, name: str, status: str, expected: str) -> None:
    findings = found(settings(), {field: value})
    assert list(findings) == [name]
    assert findings[name].status == status
    assert expected in findings[name].sentence
    assert findings[name].remedy


@pytest.mark.parametrize(("enabled", "status"), [(False, "error"), (None, "warning"), ("perhaps", "warning")])
def test_an_application_that_is_not_enabled_is_reported(enabled: Any, status: str) -> None:
    assert found(settings(), enabled=enabled)["application"].status == status


@pytest.mark.parametrize(
    ("field", "value", "name", "status", "expected"),
    [
        ("pinLength", 4, "PIN length", "error", "The template has 4, and the service accepts only 6"),
        ("pinLength", None, "PIN length", "warning", "does not say"),
        ("pinType", "HEX", "PIN type", "error", "The template has HEX"),
        ("pinType", "\x1b[2J", "PIN type", "error", "something else"),
        ("messageText", "Your code.", "message text", "error", "no {{pin}}"),
        ("messageText", "{{ pin }} is it.", "message text", "error", "no {{pin}}"),
        ("messageText", None, "message text", "error", "email"),
        ("messageText", "{{name}}: {{pin}}", "message text", "warning", "does not fill name, so its length is unknown"),
        ("messageText", "{{pin}}" + "a" * 155, "message length", "warning", "2 SMS: 161 septets in GSM-7"),
        ("messageText", "{{pin}}" + "ç" * 65, "message length", "warning", "2 SMS: 71 UTF-16 units in UCS-2"),
    ],
)
def test_a_different_template_is_reported(field: str, value: Any, name: str, status: str, expected: str) -> None:
    findings = found(settings(), **{field: value})
    assert list(findings) == [name]
    assert findings[name].status == status
    assert expected in findings[name].sentence


def test_the_check_agrees_with_what_the_budgets_count() -> None:
    two, three = "{{pin}}" + "ç" * 65, "{{pin}}" + "ç" * 129
    finding = found(settings(), messageText=two)["message length"]
    assert finding.sentence.endswith("Each is paid for, and SMS_SEGMENTS counts 1.")
    assert finding.remedy.endswith("or set SMS_SEGMENTS=2")
    assert found(settings(sms_segments=2), messageText=two) == {}
    assert "message length" in found(settings(sms_segments=2), messageText=three)


def test_the_length_of_the_pin_counts() -> None:
    fits: dict[str, Any] = {"messageText": "{{pin}}" + "a" * 154}
    assert found(settings(), **fits) == {}
    assert "message length" in found(settings(pin_length=7), **{**fits, "pinLength": 7})


def test_a_text_with_another_placeholder_may_still_be_too_long() -> None:
    findings = found(settings(), messageText="{{pin}} {{name}}" + "a" * 154)
    assert set(findings) == {"message text", "message length"}


def test_an_old_template_may_have_its_own_placeholder() -> None:
    assert found(settings(), messageText="<pin> is it.", pinPlaceholder="<pin>") == {}


def test_the_limits_of_the_service_are_compared() -> None:
    assert "sends to a phone" in found(settings(phone_send_limit="6 per day"))
    assert "sends to a phone" in found(settings(phone_send_limit="5 per hour"))
    assert "sends to a phone" not in found(settings(phone_send_limit="1 per 12 hours"))
    assert "sends to a phone" not in found(settings(), {"sendPinPerPhoneNumberLimit": "5/1h"})
    assert "sends to a phone" in found(settings(), {"sendPinPerPhoneNumberLimit": "4/1h"})
    assert "verifies of a phone" in found(settings(pin_attempts=6), {"pinAttempts": 6})


@pytest.mark.parametrize(
    ("totals", "enough"),
    [
        ({}, "20000/1d"),
        ({"total_email_limit": "500 per day"}, "10500/1d"),
        ({"total_email_limit": "500 per hour"}, "22000/1d"),
        ({"total_send_limit": "1000 per hour", "total_email_limit": "500 per day"}, "24500/1d"),
    ],
)
def test_with_e_mails_the_application_must_allow_both_totals(totals: dict[str, str], enough: str) -> None:
    def is_too_little(limit: str, **given: str) -> bool:
        return "sends in all" in found(settings(**totals, **given), {"sendPinPerApplicationLimit": limit})

    with_e_mails = {"infobip_2fa_email_msg_id": "E"}
    assert not is_too_little(enough, **with_e_mails)
    assert is_too_little(f"{int(enough.partition('/')[0]) - 1}/1d", **with_e_mails)
    assert not is_too_little("24000/1d"), "that of SMS"


HASH = "FA+9qCX9VSu"
WEBOTP, ANDROID = {"webotp_domain": "example.com"}, {"android_app_hash": HASH}


@pytest.mark.parametrize(
    ("given", "text", "expected"),
    [
        ({}, "{{pin}}\n\n@example.com", "begins like that of WebOTP, and is not @host #{{pin}}"),
        ({}, "{{pin}}\n@https://example.com #{{pin}}", "begins like that of WebOTP"),
        ({}, "{{pin}}\n@example.com #{{pin}}.", "begins like that of WebOTP"),
        ({}, "@Shop: {{pin}}", None),
        ({}, "{{pin}}\n@example.com #{{pin}} @pay.example", None),
        (WEBOTP, "{{pin}}\n\n@example.com #{{pin}}", None),
        (WEBOTP, "@example.com #{{pin}}", "The last line is not @example.com #{{pin}}"),
        (WEBOTP, "{{pin}}\n\n@example.com #{{pin}} ", "The last line is not @example.com #{{pin}}"),
        (WEBOTP, "{{pin}}\n\n@example.org #{{pin}}", "The last line is not @example.com #{{pin}}"),
        (ANDROID, f"{{{{pin}}}}\n\n{HASH}", None),
        (ANDROID, f"{{{{pin}}}} {HASH}", f"The last line is not {HASH}"),
        (ANDROID, "{{pin}}" + "a" * 122 + f"\n{HASH}", None),
        (ANDROID, "{{pin}}" + "a" * 123 + f"\n{HASH}", "It has 141 bytes, and Android reads the PIN from at most 140"),
        (ANDROID, "{{pin}}" + "ä" * 61 + f"\n{HASH}", None),
        (ANDROID, "{{pin}}" + "ä" * 61 + f"a\n{HASH}", "It has 141 bytes"),
    ],
)
def test_the_last_line_that_phones_look_for_is_checked(given: dict[str, str], text: str, expected: str | None) -> None:
    findings = found(settings(**given), messageText=text)
    findings.pop("PIN twice", None)
    assert [finding.name for finding in findings.values()] == (["autofill"] if expected else [])
    assert (expected or "") in "".join(finding.sentence for finding in findings.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{firstName}}, {{pin}} is your code at {{shop}}.", None),
        (
            "{{firstName}}, {{pin}} is your code at {{bank}}.",
            "The service does not fill bank, so its length is unknown",
        ),
        ("{{firstname}}: {{pin}}", "The service does not fill firstname,"),
        ("{{ firstName }}: {{pin}}", "The service does not fill  firstName ,"),
        ("{{firstName}}: {{pin}}" + "a" * 153, "2 SMS: 161 septets in GSM-7, without firstName. Each is paid for"),
    ],
)
def test_placeholders_that_client_apps_may_fill_are_no_warning(text: str, expected: str | None) -> None:
    findings = found(settings(allowed_placeholders={"firstName", "shop"}), messageText=text)
    assert (expected or "") in "".join(finding.sentence for finding in findings.values())
    assert bool(findings) == bool(expected)


@pytest.mark.parametrize(("text", "twice"), [("{{pin}} is it.", False), ("{{pin}}, {{pin}}", True)])
def test_a_text_that_has_the_pin_twice_is_reported(text: str, twice: bool) -> None:
    assert ("PIN twice" in found(settings(), messageText=text)) is twice


@pytest.mark.parametrize(
    ("channel", "template", "expected"),
    [
        ("sms", TEMPLATE, ""),
        ("sms", None, "error: This application at Infobip has no such template"),
        ("sms", {**TEMPLATE, "pinLength": 4}, "error: The template has 4"),
        ("sms", {**TEMPLATE, "pinType": "HEX"}, "error: The template has HEX"),
        ("sms", {**TEMPLATE, "messageText": "Code"}, "error: There is no {{pin}} in it"),
        ("sms", {**TEMPLATE, "messageText": None}, "error: There is no {{pin}} in the template: is it one for email?"),
        ("sms", {**TEMPLATE, "messageText": "{{pin}}" + "ç" * 65}, "warning: It needs 2 SMS"),
        ("sms", {**TEMPLATE, "messageText": "{{pin}}\n@x"}, "warning: The last line begins like that of WebOTP"),
        ("voice", {**TEMPLATE, "messageText": "{{pin}}\n@x"}, ""),
        ("voice", {**TEMPLATE, "messageText": "{{pin}}" + "ç" * 65}, ""),
        ("voice", {**TEMPLATE, "messageText": "{{pin}} of {{x}}"}, "warning: The service does not fill x."),
        ("voice", {**TEMPLATE, "messageText": "Code"}, "error: There is no {{pin}} in it"),
        ("voice", {**TEMPLATE, "messageText": "{{pin}}\n\n@x.com #{{pin}}"}, "warning: Calls read its last line aloud"),
        ("voice", {**TEMPLATE, "language": "de"}, "warning: Calls read it in de."),
        ("email", {**TEMPLATE, "messageText": None}, ""),
        ("email", {"pinLength": 4, "pinType": "NUMERIC"}, "error: The template has 4"),
        ("email", None, "error: This application at Infobip has no such template"),
    ],
)
def test_templates_by_language_are_checked(channel: str, template: dict[str, Any] | None, expected: str) -> None:
    own = settings(infobip_templates={channel: {"pt-BR": "OTHER"}})
    there = {own.infobip_2fa_msg_id: TEMPLATE, **({"OTHER": {"language": "pt_br", **template}} if template else {})}
    by_id = {its_id: Template.model_validate(each) for its_id, each in there.items()}
    application = Application.model_validate({"enabled": True, "configuration": CONFIGURATION})
    named = [each for each in compare(own, application, by_id) if each.name == f"{channel} pt-BR"]
    assert [f"{each.status}: {each.sentence}".startswith(expected or "ok: It fits") for each in named] == [True]


def test_templates_by_purpose_are_checked() -> None:
    own = settings(infobip_templates={"sms": {"payment/*": "PAY", "payment/de": "GONE"}})
    by_id = {its_id: Template.model_validate(TEMPLATE) for its_id in (own.infobip_2fa_msg_id, "PAY")}
    application = Application.model_validate({"enabled": True, "configuration": CONFIGURATION})
    findings = {each.name: each for each in compare(own, application, by_id)}
    assert findings["sms payment/*"].status == "ok"
    gone = findings["sms payment/de"]
    assert (gone.status, gone.remedy) == ("error", "correct INFOBIP_TEMPLATES"), "setup does not make these"


def test_templates_of_other_channels_are_checked() -> None:
    own = settings(infobip_2fa_voice_msg_id="CALL", infobip_2fa_email_msg_id="MAIL")
    there = {own.infobip_2fa_msg_id: TEMPLATE, "CALL": {**TEMPLATE, "messageText": "{{pin}}. {{pin}}"}}
    by_id = {its_id: Template.model_validate(each) for its_id, each in there.items()}
    application = Application.model_validate({"enabled": True, "configuration": CONFIGURATION})
    findings = {each.name: each for each in compare(own, application, by_id)}
    assert findings["voice"].status == "ok"
    assert (findings["email"].status, findings["email"].remedy) == ("error", "correct INFOBIP_2FA_EMAIL_MSG_ID")
    assert "The text of voice has {{pin}} twice" in findings["PIN twice"].sentence
    assert "voice" not in {each.name for each in compare(settings(), application, by_id)}
