"""A resend repeats the PIN: the PIN stays valid, there are no new guesses, and the cooldown grows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import requests

from tests.support.running import Sandbox, Service, other_pin, refusal
from tests.support.upstream import Upstream, answer

Start = Callable[..., Service]
NO = (401, "invalid_otp")


def resend(service: Service, phone: str, **members: Any) -> requests.Response:
    return service.post("/resend-otp", {"phoneNumber": phone, **members})


def wait_over(database: redis.Redis) -> None:
    """Delete the cooldowns, as if the time between two messages had passed."""
    if cooldowns := database.keys("*:cooldown"):
        database.delete(*cooldowns)


def test_the_pin_stays_valid_after_a_resend(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    first = service.send(phone).json()
    wait_over(database)
    second = resend(service, phone, channel="voice")
    assert second.status_code == 200
    assert second.json().keys() == {"message", "expiresIn", "resendIn", "channels"}
    assert [message.channel.value for message in sandbox.messages] == ["SMS", "VOICE"]
    assert len(set(sandbox.pins(phone))) == 1
    body = {"phoneNumber": phone, "pin": sandbox.pin(phone), "verificationId": first["verificationId"]}
    assert service.post("/verify-otp", body).status_code == 200


def test_the_cooldown_grows_with_each_resend(service: Service, database: redis.Redis, phone: str) -> None:
    waits = [service.send(phone).json()["resendIn"]]
    for _ in range(3):
        (cooldown,) = database.keys("*:cooldown")
        assert waits[-1] - 15 < database.ttl(cooldown) <= waits[-1]
        refused = resend(service, phone)
        assert refusal(refused) == (429, "too_many_requests")
        assert waits[-1] - 15 < int(refused.headers["Retry-After"]) <= waits[-1]
        wait_over(database)
        waits.append(resend(service, phone).json()["resendIn"])
    assert waits == [30, 60, 120, 120]


def test_the_cooldowns_can_be_set(start: Start, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    settings = {"INFOBIP_TIMEOUT": "5s", "RESEND_BACKOFF": "20s, 5500ms"}
    service = start(sandbox.url, **settings)
    assert service.send(phone).json()["resendIn"] == 20
    for _ in range(2):
        wait_over(database)
        assert resend(service, phone).json()["resendIn"] == 6


def test_a_resend_does_not_extend_the_lifetime_of_a_pin(service: Service, database: redis.Redis, phone: str) -> None:
    service.send(phone)
    wait_over(database)
    key = f"otp:phoneNumber:{phone}"
    database.hset(key, "ends", int(database.hget(key, "ends") or 0) - 500_000)
    assert resend(service, phone).json()["expiresIn"] in range(60, 101)
    assert database.ttl(key) <= 600


def test_a_resend_brings_no_new_guesses(service: Service, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    service.send(phone)
    for _ in range(4):
        assert refusal(service.verify(phone, other_pin(sandbox.pin(phone)))) == NO
    wait_over(database)
    assert resend(service, phone).status_code == 200
    assert refusal(service.verify(phone, other_pin(sandbox.pin(phone)))) == NO
    assert refusal(service.verify(phone, sandbox.pin(phone))) == NO, "that was the fifth"
    wait_over(database)
    assert refusal(resend(service, phone)) == NO, "nobody could use it"


def test_a_resend_without_a_valid_pin_sends_nothing(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    assert refusal(resend(service, phone)) == NO
    assert refusal(service.post("/resend-otp", {"phoneNumber": phone, "channel": "voice"})) == NO
    service.send(phone)
    wait_over(database)
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
    assert refusal(resend(service, phone)) == NO
    assert len(sandbox.messages) == 1
    assert database.keys("*:cooldown") == [], "and no wait begins"


def test_a_resend_is_refused_if_infobip_does_not_know_the_pin(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    service.send(phone)
    wait_over(database)
    sandbox.reset()
    assert refusal(resend(service, phone)) == NO
    assert database.keys("*:cooldown") == []


def test_a_resend_counts_as_a_send(start: Start, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    prices = {"SMS_PRICES": '{"currency": "EUR", "default": 0.1}', "DAILY_BUDGET": "0.35"}
    service = start(sandbox.url, PHONE_SEND_LIMIT="3 per day", PHONE_SEND_SHARE="1", **prices)
    assert service.send(phone).status_code == 200
    for _ in range(2):
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
        assert resend(service, phone).status_code == 200
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert refusal(resend(service, phone)) == (429, "too_many_requests"), "the phone's limit"
    (spent,) = [database.hget(key, "spent") for key in database.keys("otp:spent:*")]
    assert spent == "300000"


def test_the_guard_counts_a_resend(start: Start, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    service = start(sandbox.url, FRAUD_GUARD="block", GUARD_PREFIX_HOUR="2")
    service.send(phone)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert resend(service, phone).status_code == 200
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert refusal(resend(service, phone)) == (429, "too_many_requests")
    assert len(sandbox.messages) == 2


def test_sends_and_resends_share_the_limit_of_an_address(start: Start, sandbox: Sandbox, phone: str) -> None:
    service = start(sandbox.url, SEND_OTP_LIMIT="2 per hour")
    assert service.send(phone).status_code == 200
    too_soon = resend(service, phone)
    assert (too_soon.status_code, too_soon.headers["X-RateLimit-Remaining"]) == (429, "1")
    assert service.send("+442071838750").status_code == 200
    third = resend(service, phone)
    assert (third.status_code, third.headers["X-RateLimit-Remaining"]) == (429, "0")
    assert int(third.headers["Retry-After"]) > 3000


def test_of_16_resends_at_once_one_is_sent(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    service.send(phone)
    wait_over(database)
    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(lambda _: resend(service, phone).status_code, range(16)))
    assert sorted(answers) == [200] + [429] * 15
    assert len(sandbox.messages) == 2


def test_a_repeated_idempotency_key_resends_once(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    key = {"Idempotency-Key": "the-same-key-again"}
    service.send(phone)
    wait_over(database)
    answers = [service.post("/resend-otp", {"phoneNumber": phone}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert len(sandbox.messages) == 2
    other = service.post("/send-otp", {"phoneNumber": phone}, headers=key)
    assert refusal(other) == (422, "idempotency_key_reused"), "the same words, to another end"


@pytest.mark.parametrize("outcome", ["refused", "unclear"])
def test_a_resend_that_infobip_refuses_starts_no_cooldown(
    faulty: Service, upstream: Upstream, database: redis.Redis, outcome: str
) -> None:
    phone = "+4915112345678"
    assert faulty.send(phone).status_code == 200
    wait_over(database)
    status = {"refused": "MESSAGE_NOT_SENT", "unclear": "SOMETHING"}[outcome]
    upstream.script.append(answer({"pinId": "A" * 32, "to": "1", "smsStatus": status}))
    assert refusal(resend(faulty, phone)) == (502, "provider_error")
    assert len(database.keys(f"{{otp:phoneNumber:{phone}}}:cooldown")) == (outcome == "unclear")


def test_a_second_send_can_repeat_the_pin(start: Start, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    service = start(sandbox.url, SEND_AGAIN="same", REQUIRE_VERIFICATION_ID="true")
    first = service.send(phone).json()
    assert refusal(service.send(phone)) == (429, "too_many_requests")
    wait_over(database)
    second = service.send(phone).json()
    assert len(set(sandbox.pins(phone))) == 1
    assert len(sandbox.messages) == 2
    assert (first["resendIn"], second["resendIn"]) == (30, 60)
    ids = [first["verificationId"], second["verificationId"]]
    assert len(set(ids)) == 2
    for verification_id in ids:  # each send has its own id, and both are valid
        guess = {"phoneNumber": phone, "pin": other_pin(sandbox.pin(phone)), "verificationId": verification_id}
        assert refusal(service.post("/verify-otp", guess)) == NO
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "2"
    guess = {"phoneNumber": phone, "pin": sandbox.pin(phone), "verificationId": ids[0]}
    assert service.post("/verify-otp", guess).status_code == 200
    wait_over(database)
    third = service.send(phone).json()
    assert len(set(sandbox.pins(phone))) == 2, "no PIN lives, so this is a new one"
    assert third["resendIn"] == 30


def test_by_default_a_second_send_has_a_new_pin(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    service.send(phone)
    wait_over(database)
    service.send(phone)
    old, new = sandbox.pins(phone)
    assert old != new
    assert refusal(service.verify(phone, old)) == NO
    assert service.verify(phone, new).status_code == 200
