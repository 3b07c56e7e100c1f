"""At DEBUG, with every kind of failure, no secret is logged. `leaks` checks every other test."""

from collections.abc import Callable

import pytest
import redis
import requests

from otp.proofs import new_signing_key
from tests.faults import redis_proxy as rp
from tests.faults.redis_proxy import RedisProxy
from tests.support import leaks
from tests.support import upstream as up
from tests.support.running import Service
from tests.support.upstream import PIN_ID, Upstream

Start = Callable[..., Service]
API_KEY, CLIENT_KEY, OTHER_KEY, PASSWORD = (
    "canary-api-key-5d1f",
    "canary-client-key-77ab",
    "canary-other-key-1c2d",
    "canary-pw",
)
PIN, PROOF_KEY = "918273", new_signing_key()

FAILURES = [
    up.reset,
    up.silence,
    up.raw(b"junk\r\n\r\n"),
    up.answer(b"<html>"),
    up.error(401, "UNAUTHORIZED"),
    up.raw(b"HTTP/1.1 200 OK\r\nbad header\r\nContent-Length: 2\r\n\r\n{}"),
    up.answer({"pinId": PIN_ID, "verified": "yes", "text": PIN}),
    up.answer(up.WRONG),
]


@pytest.fixture
def canary(start: Start, upstream: Upstream, proxy: RedisProxy) -> Service:
    """Start a service in which everything has a secret, with a password for Redis."""
    settings = {
        "INFOBIP_API_KEY": API_KEY,
        "API_KEYS": f"shop:{CLIENT_KEY},shop:{OTHER_KEY}",
        "PROOF_SIGNING_KEY": PROOF_KEY,
        "REDIS_URL": f"redis://default:{PASSWORD}@127.0.0.1:{proxy.port}",
        "INFOBIP_TIMEOUT": "1s",
        "FRAUD_GUARD": "monitor",
        "SMS_PRICES": '{"currency": "EUR", "default": 0.08}',
        "DAILY_BUDGET": "1",
    }
    return start(upstream.url, WEB_CONCURRENCY="1", **settings)


@pytest.mark.parametrize("proxy", ["redis"], indirect=True)
def test_no_secret_is_in_a_response_a_log_line_or_redis(
    canary: Service, upstream: Upstream, proxy: RedisProxy, phone: str
) -> None:
    known = {"Authorization": f"Bearer {CLIENT_KEY}", "Idempotency-Key": "canary-idempotency"}
    with redis.Redis(port=proxy.server_port, decode_responses=True) as data:
        # A Redis without a password accepts any password for its default user.
        answers = [canary.send(phone, headers=known)]
        for act in FAILURES:
            upstream.script.append(act)
            data.hset(f"otp:phoneNumber:{phone}", "attempts", "0")
            answers.append(canary.verify(phone, PIN, headers=known))
        for fault in (rp.lose_reply, rp.cut, rp.reply_with(b"\x00" + PIN.encode()), rp.refuse(f"ERR {phone} {PIN_ID}")):
            proxy.fault(fault)
            answers += [canary.send(phone, headers=known), canary.verify(phone, PIN, headers=known)]
        proxy.heal()
        answers += [canary.send(f"{phone}x", headers=known), canary.verify(phone, f"{PIN}x", headers=known)]
        answers += [canary.send(phone), canary.send(phone, headers={"Authorization": f"Bearer {OTHER_KEY}x"})]
        answers.append(canary.verify(phone, PIN, headers=known))
        proof = answers[-1].json().pop("proof")
        answers += [canary.post("/proofs/redeem", {"proof": f"{proof}x"}, headers=known)]
        answers += [requests.get(f"{canary.url}/otp:{phone}?pin={PIN}", timeout=5)]
        values = [*leaks.values(data, [*data.scan_iter()])]
    assert {answer.status_code for answer in answers} == {200, 400, 401, 404, 422, 502, 503, 504}
    received = "".join(f"{answer.headers} {answer.text}" for answer in answers).replace(proof, "")
    for secret in (API_KEY, CLIENT_KEY, OTHER_KEY, PASSWORD, PIN, PIN_ID, phone[1:], *PROOF_KEY.splitlines()[1:-1]):
        assert secret not in received
        assert secret not in canary.log()
        assert secret not in " ".join(values)
    assert proof not in canary.log()
    assert len(upstream.requests) == 1 + len(FAILURES) + 1


def test_the_search_of_the_logs_finds_secrets() -> None:
    body = {"phoneNumber": "+49 151 1111", "pin": PIN}
    secrets = leaks.note_request({"Authorization": "Bearer canary-client-key"}, body)
    assert set(secrets.values()) == {"phone", "PIN", "Authorization"}
    seen = ("PIN: 918273.", "+491511111", "key=canary-client-key", f"/2fa/2/pin/{PIN_ID}/verify", "to 14155552671")
    for line in seen:
        assert leaks.in_log(line), line
    assert leaks.in_log("[918273] pid: 918273 request_id=0123456789abcdef0123456789abcdef 13:12:32,409") == []


def test_the_search_of_redis_finds_verification_ids(service: Service, database: redis.Redis, phone: str) -> None:
    verification_id = service.send(phone).json()["verificationId"]
    for name, value in ((f"otp:x:{verification_id}", "1"), ("otp:x", f'{{"verificationId":"{verification_id}"}}')):
        database.set(name, value, ex=60)
        assert leaks.in_redis(database) == [f"verification id {verification_id}"]
        database.delete(name)
