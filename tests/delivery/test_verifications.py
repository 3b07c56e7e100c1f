"""GET /verifications/<id>: what a client app can read about a PIN that it had sent."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import requests

from sandbox.server import EMAIL_MESSAGE_ID
from tests.delivery.test_deliveries import NO_SMS, REPORTS, SECRET, TRACKED
from tests.support.receiver import until
from tests.support.round_trips import round_trips
from tests.support.running import Sandbox, Service, other_pin, refusal

Start = Callable[..., Service]
Json = dict[str, Any]
SHOP, BANK = "shop-key-0123456789", "bank-key-0123456789"
KEYS = f"shop:{SHOP},bank:{BANK}"
NOT_FOUND, UNAUTHORIZED = (404, "not_found"), (401, "unauthorized")
OURS = {"Authorization": f"Bearer {SHOP}", "X-End-User-IP": "192.0.2.1"}


class Shop:
    """A client app with a key."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def post(self, path: str, **body: str) -> requests.Response:
        return self.service.post(path, body, headers=OURS)

    def send(self, phone: str, **more: str) -> str:
        """Send a PIN, and return its verification id."""
        sent = self.post("/send-otp", **({} if "email" in more else {"phoneNumber": phone}), **more)
        assert sent.status_code == 200
        return str(sent.json()["verificationId"])

    def verify(self, phone: str, pin: str) -> int:
        return self.post("/verify-otp", phoneNumber=phone, pin=pin).status_code

    def look(self, verification_id: str) -> Json:
        answer = self.service.get(f"/verifications/{verification_id}", **OURS)
        assert answer.status_code == 200
        known: Json = answer.json()
        return known

    def becomes(self, verification_id: str, status: str) -> Json:
        until(lambda: self.look(verification_id)["status"] == status)
        return self.look(verification_id)


@pytest.fixture
def shop(start: Start, database: redis.Redis, sandbox: Sandbox) -> Shop:
    settings = {"INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    return Shop(start(sandbox.url, API_KEYS=KEYS, **settings))


@pytest.fixture
def tracked(start: Start, database: redis.Redis, sandbox: Sandbox) -> Shop:
    shop = Shop(start(sandbox.url, API_KEYS=KEYS, **TRACKED))
    sandbox.reports_url = f"{shop.service.url}{REPORTS}/{SECRET}"
    sandbox.reset()
    return shop


def test_a_verification_from_the_send_to_the_verify(tracked: Shop, sandbox: Sandbox, phone: str) -> None:
    begun = int(time.time())
    sent = tracked.send(phone)
    known = tracked.look(sent)
    assert known.keys() == {"status", "channel", "sentAt", "expiresAt"}
    assert (known["status"], known["channel"]) == ("pending", "sms")
    assert begun <= known["sentAt"] <= time.time()
    assert 598 <= known["expiresAt"] - known["sentAt"] <= 601
    delivered = tracked.becomes(sent, "delivered")
    assert begun <= delivered["deliveredAt"] <= time.time()
    assert tracked.verify(phone, sandbox.pin(phone)) == 200
    verified = tracked.becomes(sent, "verified")
    assert begun <= verified["verifiedAt"] <= time.time()
    assert verified == {**delivered, "status": "verified", "verifiedAt": verified["verifiedAt"]}


def test_no_other_client_app_can_read_a_verification(shop: Shop, start: Start, sandbox: Sandbox, phone: str) -> None:
    path = f"/verifications/{shop.send(phone)}"
    unknown = [
        f"/verifications/{each}" for each in ("q4nB0tW7xkR2yV9cE1sLuA", "x", "%00", "*", "%F0%9F%98%80", "x" * 3000)
    ]
    bank = {"Authorization": f"Bearer {BANK}"}
    nothing = [shop.service.get(path, **bank), *(shop.service.get(each, **OURS) for each in unknown)]
    assert {refusal(each) for each in nothing} == {NOT_FOUND}
    assert len({each.content for each in nothing}) == 1
    assert refusal(shop.service.get(path)) == refusal(shop.service.get(path, Authorization="x")) == UNAUTHORIZED
    open_to_all = start(sandbox.url)
    assert refusal(open_to_all.get(path)) == refusal(open_to_all.get(path, **OURS)) == NOT_FOUND
    assert shop.service.get(path, **OURS).status_code == 200


def test_an_email_and_a_call_have_a_verification_too(shop: Shop, phone: str, email: str) -> None:
    assert shop.look(shop.send("", email=email))["channel"] == "email"
    assert shop.look(shop.send(phone, channel="voice"))["channel"] == "voice"


def test_the_oldest_of_four_pins_has_expired(shop: Shop, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    sent = []
    for _ in range(4):
        sent.append(shop.send(phone))
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    shop.becomes(sent[0], "expired")
    assert [shop.look(each)["status"] for each in sent[1:]] == ["pending"] * 3
    assert shop.verify(phone, sandbox.pin(phone)) == 200
    shop.becomes(sent[3], "verified")
    assert [shop.look(each)["status"] for each in sent[:3]] == ["expired", "pending", "pending"]


def test_a_pin_without_a_guess_left_has_expired(shop: Shop, sandbox: Sandbox, phone: str) -> None:
    sent = shop.send(phone)
    for _ in range(4):
        shop.verify(phone, other_pin(sandbox.pin(phone)))
    assert shop.look(sent)["status"] == "pending"
    shop.verify(phone, other_pin(sandbox.pin(phone)))
    shop.becomes(sent, "expired")


def test_the_last_guess_may_be_right(shop: Shop, sandbox: Sandbox, phone: str) -> None:
    sent = shop.send(phone)
    for _ in range(4):
        shop.verify(phone, other_pin(sandbox.pin(phone)))
    assert shop.verify(phone, sandbox.pin(phone)) == 200
    shop.becomes(sent, "verified")


def test_an_expired_verification_can_be_read_for_another_hour(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    shop = Shop(start(sandbox.url, API_KEYS=KEYS, PIN_TIME_TO_LIVE="2s"))
    sent = shop.send(phone)
    assert shop.look(sent)["status"] == "pending"
    until(lambda: not database.exists(f"otp:phoneNumber:{phone}"))
    assert shop.becomes(sent, "expired")["expiresAt"] <= time.time()
    (key,) = database.scan_iter("otp:verification:*")
    assert 3590 < database.ttl(key) <= 3602
    assert sent not in key + str(database.hgetall(key)), "who reads Redis learns no id"
    assert phone[1:] not in str(database.hgetall(key))
    database.delete(key)
    assert refusal(shop.service.get(f"/verifications/{sent}", **OURS)) == NOT_FOUND


def test_a_pin_sent_twice_has_two_ids(start: Start, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    shop = Shop(start(sandbox.url, API_KEYS=KEYS, SEND_AGAIN="same"))
    first = shop.send(phone)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    second = shop.send(phone, channel="voice")
    assert [shop.look(each)["status"] for each in (first, second)] == ["pending", "pending"]
    assert [shop.look(each)["channel"] for each in (first, second)] == ["sms", "voice"]
    assert abs(shop.look(first)["expiresAt"] - shop.look(second)["expiresAt"]) <= 1, "it is one PIN"
    assert shop.verify(phone, sandbox.pin(phone)) == 200
    shop.becomes(first, "verified")
    shop.becomes(second, "verified")


def test_a_call_delivers_the_pin_of_an_sms_that_did_not_arrive(
    tracked: Shop, sandbox: Sandbox, database: redis.Redis
) -> None:
    sent = tracked.send(NO_SMS)
    until(lambda: not database.exists(f"{{otp:phoneNumber:{NO_SMS}}}:cooldown"))
    assert tracked.look(sent)["status"] == "pending"
    assert tracked.post("/resend-otp", phoneNumber=NO_SMS, channel="voice").status_code == 200
    assert tracked.becomes(sent, "delivered")["channel"] == "sms", "that of the send"


def test_a_send_without_an_api_key_has_no_verification(service: Service, database: redis.Redis, phone: str) -> None:
    sent = service.send(phone)
    assert refusal(service.get(f"/verifications/{sent.json()['verificationId']}")) == NOT_FOUND
    assert not list(database.scan_iter("otp:verification:*"))


def test_storing_a_verification_adds_no_round_trip(shop: Shop, database: redis.Redis) -> None:
    numbers = [f"+49157{n}" for n in range(10000000, 10000040)]
    for number in numbers[:20]:  # opens the connections
        shop.send(number)
    assert round_trips(database, shop.send, numbers[20:]) <= 3
    assert len(list(database.scan_iter("otp:verification:*"))) == 40
