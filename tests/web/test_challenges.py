"""With CHALLENGE, a send without an API key needs the token of a challenge that a person has passed."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl

import pytest
import redis
import requests

from config import Settings
from otp.challenges import LONGEST_TOKEN, TEST_SECRETS
from sandbox.siteverify import SITES
from tests.config.test_warnings import GIVEN
from tests.support import upstream as up
from tests.support.running import Sandbox, Service, refusal
from tests.support.upstream import Upstream, answer
from tests.web.test_resend import wait_over

Start = Callable[..., Service]
TOKEN = "XXXX.DUMMY.TOKEN.XXXX"
FAILED, UNAVAILABLE = (400, "challenge_failed"), (503, "service_unavailable")
PASSED = {"success": True, "hostname": "Shop.example.com", "action": "otp", "error-codes": []}


class Siteverify(Upstream):
    """A vendor of challenges whose responses are scripted; by default, it accepts every token."""

    def _respond(self, connection: socket.socket, path: str, headers: dict[str, str], content: bytes) -> None:
        with self._turn:
            self.requests.append((path, headers, dict(parse_qsl(content.decode()))))
            act = self.script.popleft() if self.script else answer(PASSED)
        act(connection)


@pytest.fixture(scope="module")
def _vendor() -> Iterator[Siteverify]:
    with Siteverify() as vendor:
        yield vendor


@pytest.fixture
def vendor(_vendor: Siteverify) -> Siteverify:
    _vendor.reset()
    return _vendor


def settings(url: str, **more: str) -> dict[str, str]:
    secret = {"CHALLENGE_SECRET": "secret-of-the-site-0123456789", "CHALLENGE_HOSTNAMES": "shop.example.com, localhost"}
    return {"CHALLENGE": "turnstile", "CHALLENGE_URL": f"{url}/siteverify", "WEB_CONCURRENCY": "1", **secret, **more}


@pytest.fixture
def guarded(start: Start, database: redis.Redis, sandbox: Sandbox, vendor: Siteverify) -> Service:
    return start(sandbox.url, **settings(vendor.url, CHALLENGE="recaptcha"))


def send(service: Service, phone: str, challenge: Any = TOKEN, **kwargs: Any) -> requests.Response:
    return service.post("/send-otp", {"phoneNumber": phone, "challenge": challenge}, **kwargs)


def test_sends_need_a_token_and_verifies_do_not(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    """The sandbox's siteverify checks the token that Cloudflare publishes for tests, with the secret for it."""
    test_site = {"CHALLENGE_SECRET": "1x0000000000000000000000000000000AA", "CHALLENGE_HOSTNAMES": "example.com"}
    service = start(sandbox.url, **settings(sandbox.url, **test_site))
    assert refusal(service.send(phone)) == FAILED
    assert refusal(send(service, phone, "a wrong token")) == FAILED
    assert sandbox.request_count() == 0
    sent = send(service, phone)
    assert sent.status_code == 200
    wait_over(database)
    again = {"phoneNumber": phone, "verificationId": sent.json()["verificationId"]}
    assert refusal(service.post("/resend-otp", again)) == FAILED
    assert service.post("/resend-otp", {**again, "challenge": TOKEN}).status_code == 200
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_the_request_to_the_vendor_follows_its_documents(guarded: Service, vendor: Siteverify, phone: str) -> None:
    assert send(guarded, phone).status_code == 200
    ((path, headers, form),) = vendor.requests
    assert (path, headers["content-type"]) == ("/siteverify", "application/x-www-form-urlencoded")
    assert form == {"secret": "secret-of-the-site-0123456789", "response": TOKEN, "remoteip": "127.0.0.1"}


@pytest.mark.parametrize("token", [None, "", "x" * (LONGEST_TOKEN + 1)], ids=["none", "empty", "too long"])
def test_an_impossible_token_is_refused_without_the_vendor(
    guarded: Service, vendor: Siteverify, phone: str, token: str | None
) -> None:
    assert refusal(send(guarded, phone, token)) == FAILED
    assert vendor.requests == []


def test_an_invalid_request_uses_no_token_up(guarded: Service, vendor: Siteverify) -> None:
    assert refusal(send(guarded, "+1")) == (400, "invalid_phone_number")
    assert refusal(send(guarded, "+14155552671", 7)) == (400, "invalid_request")
    assert vendor.requests == []


NO = {"success": False, "hostname": None, "error-codes": ["timeout-or-duplicate"]}


VERDICTS: dict[str, tuple[up.Act, tuple[int, str]]] = {
    "refused": (answer(NO), FAILED),
    "refused with a 400": (answer(NO, 400), FAILED),
    "another hostname": (answer({**PASSED, "hostname": "shop.example.com.evil.example"}), FAILED),
    "no hostname": (answer({"success": True}), FAILED),
    "a low score": (answer({**PASSED, "score": 0.4}), FAILED),
    "a score that is high enough": (answer({**PASSED, "score": 0.5}), (200, "")),
    "a wrong secret": (answer({**NO, "error-codes": ["invalid-input-secret"]}), UNAVAILABLE),
    "truthy": (answer({**PASSED, "success": "true"}), UNAVAILABLE),
    "not an object": (answer([PASSED]), UNAVAILABLE),
    "an error": (answer(PASSED, 500), UNAVAILABLE),
    "a redirect": (answer(PASSED, 302, "Location: /siteverify\r\n"), UNAVAILABLE),
    "too large": (answer({**PASSED, "cdata": "x" * 65536}), UNAVAILABLE),
    "a reset": (up.reset, UNAVAILABLE),
    "no response": (up.silence, UNAVAILABLE),
    "a byte at a time": (up.drip, UNAVAILABLE),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_nothing_is_sent_unless_the_vendor_accepts_the_token(
    guarded: Service,
    vendor: Siteverify,
    sandbox: Sandbox,
    database: redis.Redis,
    phone: str,
    verdict: str,
) -> None:
    act, expected = VERDICTS[verdict]
    vendor.script.append(act)
    response = send(guarded, phone)
    assert ((200, "") if response.status_code == 200 else refusal(response)) == expected
    assert response.elapsed.total_seconds() < 10
    sent = int(response.status_code == 200)
    assert (sandbox.request_count(), len(vendor.requests)) == (sent, 1)
    assert bool([key for key in database.scan_iter() if phone in key]) == sent, (
        "it comes before the limits of the phone"
    )


def test_a_hanging_vendor_does_not_delay_other_requests(guarded: Service, vendor: Siteverify, phone: str) -> None:
    held = up.Held(answer(PASSED))
    vendor.script.append(held)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(send, guarded, phone)
        assert held.came.wait(60)
        assert send(guarded, "+442071838750").status_code == 200
        held.release()
        assert waiting.result().status_code in (200, 503)  # 503 if this machine is slower than the deadline


def test_a_replay_does_not_check_its_token_again(guarded: Service, vendor: Siteverify, phone: str) -> None:
    key = {"Idempotency-Key": "challenge-0123456789"}
    first = send(guarded, phone, headers=key)
    vendor.script.append(answer(NO))
    again = send(guarded, phone, headers=key)
    assert (again.status_code, again.content, len(vendor.requests)) == (200, first.content, 1)


def test_the_token_is_checked_after_the_address_limit(
    start: Start, database: redis.Redis, sandbox: Sandbox, vendor: Siteverify, phone: str
) -> None:
    service = start(sandbox.url, **settings(vendor.url, SEND_OTP_LIMIT="1 per hour"))
    assert send(service, phone).status_code == 200
    assert refusal(send(service, "+442071838750")) == (429, "too_many_requests")
    assert len(vendor.requests) == 1


def test_clients_with_an_api_key_need_no_token(
    start: Start, database: redis.Redis, sandbox: Sandbox, vendor: Siteverify, phone: str
) -> None:
    service = start(sandbox.url, **settings(vendor.url, API_KEYS="shop:shop-key-0123456789"))
    key = {"Authorization": "Bearer shop-key-0123456789"}
    assert service.send(phone, headers=key).status_code == 200
    assert refusal(send(service, phone)) == (401, "unauthorized")
    assert vendor.requests == []


ON = {
    "challenge": "hcaptcha",
    "challenge_secret": "secret-of-the-site-0123456789",
    "challenge_hostnames": "shop.example.com",
}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "API_KEYS"),
        ({"cors_origins": "https://shop.example.com"}, "CORS_ORIGINS"),
        ({**ON, "cors_origins": "https://shop.example.com"}, None),
        ({**ON, "challenge_secret": min(TEST_SECRETS)}, "CHALLENGE_SECRET"),
        ({**ON, "challenge_url": "http://127.0.0.1:3001/siteverify"}, "CHALLENGE_SECRET"),
    ],
)
def test_a_start_warns_if_bots_could_have_sms_sent(given: dict[str, str], named: str | None) -> None:
    weak = {name: value for name, value in GIVEN.items() if name != "api_keys"}
    warnings = Settings(**{**weak, **given}).warnings()
    assert [sentence.split()[0] for sentence in warnings] == [named] * bool(named)


def test_the_warning_covers_the_secrets_of_the_sandbox() -> None:
    assert SITES.keys() == TEST_SECRETS
