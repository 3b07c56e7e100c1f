"""PINs are sent by SMS, by call and by e-mail; what a channel cannot send is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from otp.proofs import new_signing_key
from sandbox.server import APPLICATION_ID, EMAIL_MESSAGE_ID, MESSAGE_ID
from tests.support.running import Sandbox, Service, refusal
from tests.support.upstream import Upstream, answer

Start = Callable[..., Service]
PRICES = {"SMS_PRICES": 0.1, "VOICE_PRICES": 0.5}
E_MAILS = {"INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}


def arrived(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(message.channel.value, message.pin.to) for message in sandbox.messages]


def test_a_call_reads_the_pin_aloud(service: Service, sandbox: Sandbox, phone: str) -> None:
    sent = service.post("/send-otp", {"phoneNumber": phone, "channel": "voice"})
    assert (sent.status_code, sent.json()["resendIn"]) == (200, 30)
    assert arrived(sandbox) == [("VOICE", phone.removeprefix("+"))]
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_an_e_mail_contains_the_pin(every_channel: Service, sandbox: Sandbox, email: str) -> None:
    sent = every_channel.post("/send-otp", {"email": email})
    assert sent.status_code == 200
    assert arrived(sandbox) == [("EMAIL", email)]
    guess = {"email": email, "verificationId": sent.json()["verificationId"]}
    pin = sandbox.messages[-1].pin.value
    assert refusal(every_channel.post("/verify-otp", {**guess, "pin": "000000"})) == (401, "invalid_otp")
    assert every_channel.post("/verify-otp", {**guess, "pin": pin}).status_code == 200
    assert refusal(every_channel.post("/verify-otp", {**guess, "pin": pin})) == (401, "invalid_otp")


def address_of(length: int) -> str:
    """Return an e-mail address of `length` characters."""
    labels, more = divmod(length - 65, 9)
    return f"{'a' * 40}@{'d' * (20 + more)}{'.dddddddd' * labels}.com"


@pytest.mark.parametrize("length", [100, 101, 254])
def test_a_long_address_gets_an_e_mail(every_channel: Service, sandbox: Sandbox, length: int) -> None:
    to = address_of(length)
    assert len(to) == length
    assert every_channel.post("/send-otp", {"email": to}).status_code == 200
    assert arrived(sandbox) == [("EMAIL", to)]
    pin = sandbox.messages[-1].pin.value
    assert every_channel.post("/verify-otp", {"email": to, "pin": pin}).status_code == 200
    assert refusal(every_channel.post("/send-otp", {"email": address_of(255)})) == (400, "invalid_email")


def test_one_mailbox_has_many_spellings(every_channel: Service, sandbox: Sandbox, email: str) -> None:
    local = email.partition("@")[0]
    assert every_channel.post("/send-otp", {"email": f"{local.upper()}@EXAMPLE.com"}).status_code == 200
    assert arrived(sandbox) == [("EMAIL", f"{local.upper()}@example.com")], "its domain alone is normalised"
    assert refusal(every_channel.post("/send-otp", {"email": email})) == (429, "too_many_requests")
    pin = sandbox.messages[-1].pin.value
    assert every_channel.post("/verify-otp", {"email": f"{local}@ExAmPlE.CoM", "pin": pin}).status_code == 200


def test_an_international_domain_is_accepted(every_channel: Service, sandbox: Sandbox, email: str) -> None:
    local = email.partition("@")[0]
    assert every_channel.post("/send-otp", {"email": f"{local}@BÜCHER.example.com"}).status_code == 200
    assert arrived(sandbox) == [("EMAIL", f"{local}@xn--bcher-kva.example.com")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"phoneNumber": "+4915112345678", "channel": "pigeon"}, "invalid_channel"),
        ({"phoneNumber": "+4915112345678", "channel": "SMS"}, "invalid_channel"),
        ({"phoneNumber": "+4915112345678", "channel": 1}, "invalid_request"),
        ({"phoneNumber": "+4915112345678", "channel": "email"}, "invalid_recipient"),
        ({"email": "person@example.com", "channel": "voice"}, "invalid_recipient"),
        ({"email": "person@example.com", "phoneNumber": "+4915112345678"}, "invalid_recipient"),
        ({"channel": "sms"}, "invalid_request"),
        ({"phoneNumber": None, "email": None}, "invalid_request"),
        ({"email": "Jo <person@example.com>"}, "invalid_email"),
        ({"email": '"per son"@example.com'}, "invalid_email"),
        ({"email": "pérson@example.com"}, "invalid_email"),
        ({"email": "person@[127.0.0.1]"}, "invalid_email"),
        ({"email": "person@localhost"}, "invalid_email"),
        ({"email": "person@example.com\n"}, "invalid_email"),
        ({"email": "{x}@example.com"}, "invalid_email"),
        ({"email": f"{'a' * 65}@example.com"}, "invalid_email"),
        ({"email": f"person@{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 60}.com"}, "invalid_email"),
        ({"email": ""}, "invalid_email"),
    ],
)
def test_an_invalid_recipient_or_channel_is_refused(
    every_channel: Service, sandbox: Sandbox, body: dict[str, Any], code: str
) -> None:
    for path in ("/send-otp", "/resend-otp"):
        assert refusal(every_channel.post(path, body)) == (400, code)
    assert sandbox.request_count() == 0


def test_a_verify_needs_exactly_one_recipient(service: Service, phone: str) -> None:
    both = {"phoneNumber": phone, "email": "person@example.com", "pin": "123456"}
    assert refusal(service.post("/verify-otp", both)) == (400, "invalid_recipient")
    assert refusal(service.post("/verify-otp", {"pin": "123456"})) == (400, "invalid_request")
    assert refusal(service.post("/verify-otp", {"email": "@", "pin": "123456"})) == (400, "invalid_email")


def test_a_channel_without_a_template_is_not_available(service: Service, sandbox: Sandbox) -> None:
    assert refusal(service.post("/send-otp", {"email": "person@example.com"})) == (400, "channel_not_available")
    assert sandbox.request_count() == 0


def test_a_channel_that_is_not_allowed_is_not_used(start: Start, sandbox: Sandbox, phone: str, email: str) -> None:
    service = start(sandbox.url, ALLOWED_CHANNELS="sms", **E_MAILS)
    call = {"phoneNumber": phone, "channel": "voice"}
    not_available = (400, "channel_not_available")
    assert refusal(service.post("/send-otp", call)) == not_available
    assert refusal(service.post("/send-otp", {"email": email})) == not_available
    assert service.send(phone).status_code == 200
    assert refusal(service.post("/resend-otp", call)) == not_available
    assert [message.channel.value for message in sandbox.messages] == ["SMS"]


def test_a_call_has_a_template_of_its_own_if_that_is_set(start: Start, sandbox: Sandbox, phone: str) -> None:
    settings = {"INFOBIP_2FA_VOICE_MSG_ID": MESSAGE_ID, "INFOBIP_2FA_MSG_ID": "not-there"}
    service = start(sandbox.url, **settings)
    assert service.post("/send-otp", {"phoneNumber": phone, "channel": "voice"}).status_code == 200
    assert refusal(service.post("/send-otp", {"phoneNumber": "+4915112345678"})) == (502, "provider_error")


def test_a_number_that_nobody_abroad_can_dial_gets_no_call(service: Service, sandbox: Sandbox) -> None:
    number = "+989444012345"  # libphonenumber lists such numbers as reachable only from their country
    assert refusal(service.post("/send-otp", {"phoneNumber": number, "channel": "voice"})) == (
        400,
        "phone_number_not_callable",
    )
    assert sandbox.request_count() == 0
    assert service.send(number).status_code == 200


@pytest.mark.parametrize(
    ("channel", "status"),
    [
        ("voice", {"callStatus": "UNDELIVERABLE_NOT_DELIVERED"}),
        ("voice", {"callStatus": "REJECTED_NETWORK"}),
        ("email", {"emailStatus": {"name": "REJECTED_SENDER", "description": "No."}}),
        ("sms", {"smsStatus": "MESSAGE_NOT_SENT"}),
    ],
)
def test_a_rejected_message_leaves_no_cooldown(
    start: Start,
    database: redis.Redis,
    upstream: Upstream,
    phone: str,
    email: str,
    channel: str,
    status: dict[str, Any],
) -> None:
    service = start(upstream.url, **E_MAILS)
    upstream.script.extend([answer({"pinId": "A", "to": "1", **status})] * 2)
    body = {"channel": channel, **({"email": email} if channel == "email" else {"phoneNumber": phone})}
    assert [refusal(service.post("/send-otp", body)) for _ in range(2)] == [(502, "provider_error")] * 2
    assert database.keys("*:cooldown") == []


@pytest.mark.parametrize(
    "status",
    [{}, {"callStatus": "BAD_REQUEST"}, {"callStatus": 1}, {"callStatus": {"name": []}}, {"smsStatus": "MESSAGE_SENT"}],
)
def test_an_unknown_status_keeps_the_cooldown(
    start: Start, database: redis.Redis, upstream: Upstream, phone: str, status: dict[str, Any]
) -> None:
    service = start(upstream.url, **E_MAILS)
    upstream.script.append(answer({"pinId": "A", "to": "1", **status}))
    call = {"phoneNumber": phone, "channel": "voice"}
    assert refusal(service.post("/send-otp", call)) == (502, "provider_error")
    assert refusal(service.post("/send-otp", call)) == (429, "too_many_requests"), "it may ring"


def test_calls_and_sms_share_the_cooldown_of_a_phone(service: Service, phone: str) -> None:
    assert service.send(phone).status_code == 200
    again = service.post("/send-otp", {"phoneNumber": phone, "channel": "voice"})
    assert refusal(again) == (429, "too_many_requests")


def test_a_call_is_charged_at_the_voice_price(
    start: Start, database: redis.Redis, sandbox: Sandbox, email: str
) -> None:
    prices = {
        "SMS_PRICES": '{"currency": "EUR", "default": 0.1}',
        "VOICE_PRICES": '{"currency": "EUR", "default": 0.5}',
    }
    service = start(
        sandbox.url,
        DAILY_BUDGET="0.65",
        INFOBIP_2FA_EMAIL_MSG_ID="sandbox-email-message",
        **prices,
    )
    call = {"channel": "voice"}
    assert service.send("+4915112340001").status_code == 200
    assert service.post("/send-otp", {"phoneNumber": "+4915112340002", **call}).status_code == 200
    refused = service.post("/send-otp", {"phoneNumber": "+4915112340003", **call})
    assert refusal(refused) == (503, "budget_exhausted")
    assert refusal(service.send("+4915112340004")) == (503, "budget_exhausted")
    assert service.post("/send-otp", {"email": email}).status_code == 200, "an e-mail costs nothing"
    (spent,) = [database.hget(key, "spent") for key in database.keys("otp:spent:*")]
    assert spent == "600000"


def test_the_fraud_guard_ignores_e_mails(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    guarded = {"FRAUD_GUARD": "block", "GUARD_COUNTRY_PENDING": "1", "GUARD_PREFIX_HOUR": "1"}
    service = start(sandbox.url, **guarded, **E_MAILS)
    sent = [service.post("/send-otp", {"email": f"reader{n:03}@example.com"}).status_code for n in range(5)]
    assert sent == [200] * 5
    pin = sandbox.messages[-1].pin.value
    assert service.post("/verify-otp", {"email": "reader004@example.com", "pin": pin}).status_code == 200
    assert database.keys("otp:guard:*") == []


def test_the_log_line_of_an_e_mail_shows_only_its_domain(every_channel: Service, email: str) -> None:
    sent = every_channel.post("/send-otp", {"email": email})
    every_channel.log_with(sent)
    (line,) = every_channel.lines(event="request", request_id=sent.headers["X-Request-ID"])
    assert (line["channel"], line["email"], line["country"]) == ("email", "***@example.com", "none")
    assert "phone" not in line


def test_a_proof_contains_the_e_mail_address(start: Start, sandbox: Sandbox, email: str) -> None:
    service = start(sandbox.url, PROOF_SIGNING_KEY=new_signing_key(), **E_MAILS)
    service.post("/send-otp", {"email": email})
    verified = service.post("/verify-otp", {"email": email, "pin": sandbox.messages[-1].pin.value}).json()
    redeemed = service.post("/proofs/redeem", {"proof": verified["proof"]}).json()
    assert redeemed["email"] == email
    assert "phoneNumber" not in redeemed


@pytest.mark.parametrize(
    ("locale", "header", "text"),
    [
        ("pt-BR", None, "portuguese"),
        ("de-AT", "pt", "german"),
        (None, "fr;q=0.9, pt;q=0.5, de;q=0.8", "german"),
        (None, "nonsense;;", "default"),
        (None, None, "default"),
        ("ja", "de", "default"),
        ("de-DE-u-ca-gregory-fw-mon-hc-h23-mu-celsius-nu-latn", None, "german"),
        ("pt_BR", "de", "portuguese"),
        ("C.UTF-8", "de", "default"),
        (None, "en-US-u-mu-celsius, de_AT-u-fw-mon-hc-h23-mu-celsius;q=0.9", "german"),
    ],
)
def test_the_language_selects_the_template(
    start: Start, sandbox: Sandbox, phone: str, locale: str | None, header: str | None, text: str
) -> None:
    of = {"sms": {"pt": "portuguese", "de": "german"}}
    service = start(sandbox.url, INFOBIP_TEMPLATES=json.dumps(of))
    default = sandbox.two_factor.applications.template(APPLICATION_ID, MESSAGE_ID)
    texts = {MESSAGE_ID: "default {{pin}}", "portuguese": "portuguese {{pin}}", "german": "german {{pin}}"}
    templates = [default.copy_with({"message_id": each, "message_text": its}) for each, its in texts.items()]
    sandbox.two_factor.applications.add(sandbox.two_factor.applications.get(APPLICATION_ID), *templates)
    body = {"phoneNumber": phone, **({"locale": locale} if locale else {})}
    assert service.post("/send-otp", body, headers={"Accept-Language": header} if header else {}).status_code == 200
    assert sandbox.messages[-1].text == f"{text} {sandbox.pin(phone)}"


@pytest.mark.parametrize("locale", ["german", "", "x", "*", "x-klingon", "a" * 255])
def test_an_unknown_language_does_not_prevent_a_send(
    service: Service, sandbox: Sandbox, phone: str, locale: str
) -> None:
    assert service.post("/send-otp", {"phoneNumber": phone, "locale": locale}).status_code == 200
    assert len(sandbox.pins(phone)) == 1


def test_a_locale_that_is_too_long_is_refused(service: Service, sandbox: Sandbox, phone: str) -> None:
    assert refusal(service.post("/send-otp", {"phoneNumber": phone, "locale": "a" * 256})) == (400, "invalid_locale")
    assert sandbox.request_count() == 0


def test_placeholders_fill_the_template(every_channel: Service, sandbox: Sandbox, phone: str) -> None:
    sandbox.reset(message_text="{{firstName}}, your code is {{pin}}")
    body = {"phoneNumber": phone, "placeholders": {"firstName": "Zoë Ümit-Öz O'Neil"}}
    assert every_channel.post("/send-otp", body).status_code == 200
    assert sandbox.messages[-1].text == f"Zoë Ümit-Öz O'Neil, your code is {sandbox.pin(phone)}"


@pytest.mark.parametrize(
    "placeholders",
    [
        {"shop": "Books"},
        {"pin": "123456"},
        {"firstName": ""},
        {"firstName": " "},
        {"firstName": "x" * 51},
        {"firstName": "line\nbreak"},
        {"firstName": "\u202egnp.exe"},
        {"firstName": "{{pin}}"},
        {"firstName": "evil.example"},
        {"firstName": "http://evil"},
        {"firstName": "//evil"},
        {"firstName": "evil\u3002example"},
        {"firstName": "evil\uff0eexample"},
        {"firstName": "1.2.3.4"},
        {"firstName": "Jo", "lastName": "Doe"},
    ],
)
def test_placeholders_that_could_be_phishing_are_refused(
    every_channel: Service, sandbox: Sandbox, phone: str, placeholders: dict[str, str]
) -> None:
    body = {"phoneNumber": phone, "placeholders": placeholders}
    assert refusal(every_channel.post("/send-otp", body)) == (400, "invalid_placeholders")
    assert sandbox.request_count() == 0


def test_placeholders_are_refused_unless_they_are_allowed(service: Service, phone: str) -> None:
    body = {"phoneNumber": phone, "placeholders": {"firstName": "Jo"}}
    assert refusal(service.post("/send-otp", body)) == (400, "invalid_placeholders")
    assert refusal(service.post("/send-otp", {**body, "placeholders": ["Jo"]})) == (400, "invalid_request")
