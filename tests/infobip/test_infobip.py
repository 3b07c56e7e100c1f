"""Tests the requests to Infobip, and how the service handles the responses. Infobip's faults are in tests/faults/."""

import threading
from collections.abc import Callable

import pytest
import redis
import requests

from sandbox.free_port import free_port
from tests.support import upstream as up
from tests.support.running import Service, refusal
from tests.support.upstream import PIN_ID, RIGHT, Act, Upstream, answer, error

UNAVAILABLE = (503, "service_unavailable")


def test_a_verify_is_repeated_after_a_5xx(faulty: Service, upstream: Upstream, phone: str) -> None:
    faulty.send(phone)
    upstream.script.append(error(503, "SERVICE_UNAVAILABLE"))
    assert faulty.verify(phone, "123456").status_code == 200
    assert [path for path, _, _ in upstream.requests] == ["/2fa/2/pin?ncNeeded=false"] + [
        f"/2fa/2/pin/{PIN_ID}/verify"
    ] * 2


USED = answer({"verified": False, "pinError": "NO_MORE_PIN_ATTEMPTS"})


@pytest.mark.parametrize("gone", [USED, error(404, "NOT_FOUND")], ids=["used", "404"])
def test_a_pin_that_a_5xx_may_have_verified_has_an_unknown_result(
    faulty: Service, upstream: Upstream, phone: str, gone: Act
) -> None:
    """Infobip does not know a PIN any more that it has verified: the repeated request cannot tell."""
    faulty.send(phone)
    upstream.script += [error(503, "SERVICE_UNAVAILABLE"), gone]
    assert refusal(faulty.verify(phone, "123456")) == (504, "provider_timeout")
    assert faulty.verify(phone, "123456").status_code == 200, "the PIN is not dropped"


@pytest.mark.parametrize("pin_error", [None, "NO_ERROR"])
def test_a_right_pin_without_a_pin_error_is_accepted(
    faulty: Service, upstream: Upstream, phone: str, pin_error: str | None
) -> None:
    faulty.send(phone)
    upstream.script.append(answer({**RIGHT, "pinError": pin_error}))
    assert faulty.verify(phone, "123456").status_code == 200


def test_the_requests_to_infobip_have_this_form(faulty: Service, upstream: Upstream, phone: str) -> None:
    faulty.send(phone)
    faulty.verify(phone, "123456")
    (send, headers, body), (verify, _, guess) = upstream.requests
    assert send == "/2fa/2/pin?ncNeeded=false"
    assert verify == f"/2fa/2/pin/{PIN_ID}/verify"
    assert body == {"applicationId": "sandbox-application", "messageId": "sandbox-message", "to": phone}
    assert guess == {"pin": "123456"}
    assert headers["authorization"] == "App sandbox-api-key"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("given", "passed_on"), [("7", 7), ("0", 1), ("86400", 3600), ("", 20), ("soon", 20), ("-5", 20), ("٧", 20)]
)
def test_infobips_retry_after_is_passed_on(
    faulty: Service, upstream: Upstream, phone: str, given: str, passed_on: int
) -> None:
    header = f"Retry-After: {given}\r\n" if given else ""
    upstream.script.append(error(429, "TOO_MANY_REQUESTS", header))
    assert faulty.send(phone).headers["Retry-After"] == str(passed_on)


def test_an_unreachable_infobip_is_a_503_and_starts_no_cooldown(
    start: Callable[..., Service], database: redis.Redis, phone: str
) -> None:
    service = start(f"http://127.0.0.1:{free_port()}")
    for _ in range(7):
        refused = service.send(phone)
        assert refusal(refused) == UNAVAILABLE
        assert refused.headers["Retry-After"] == "1"
    assert not database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_a_proxy_and_a_netrc_of_the_environment_are_ignored(
    start: Callable[..., Service],
    database: redis.Redis,
    upstream: Upstream,
    phone: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    proxy = f"http://127.0.0.1:{free_port()}"
    service = start(upstream.url, HTTP_PROXY=proxy, http_proxy=proxy, ALL_PROXY=proxy, HOME=str(home))
    assert service.send(phone).status_code == 200
    assert upstream.requests[0][1]["authorization"] == "App sandbox-api-key"


def test_a_slow_infobip_does_not_delay_other_requests(patient: Service, upstream: Upstream, phone: str) -> None:
    held = up.Held(up.answer(up.SENT))
    upstream.script.append(held)
    slow = threading.Thread(target=patient.send, args=(phone,))
    slow.start()
    assert held.came.wait(60)
    assert requests.get(f"{patient.url}/healthz", timeout=5).status_code == 200
    assert patient.send("+14155552671").status_code == 200
    assert slow.is_alive()
    held.release()
    slow.join()
