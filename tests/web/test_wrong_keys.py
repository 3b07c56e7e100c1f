"""Wrong keys count against the address that sends them, on every route that needs a key or a secret."""

from collections.abc import Callable

import pytest
import redis
import requests

from otp.proofs import new_signing_key
from sandbox.free_port import free_port
from tests.support.redis_servers import Servers, node
from tests.support.running import Sandbox, Service, refusal

Start = Callable[..., Service]
KEY, SECRET = "shop-key-0123456789", "reports-secret-0123456789"
SETTINGS = {
    "API_KEYS": f"shop:{KEY}",
    "PROOF_SIGNING_KEY": new_signing_key(),
    "TRACK_DELIVERY": "true",
    "DELIVERY_REPORTS_SECRET": SECRET,
    "TRUSTED_PROXIES": "1",
}
UNAUTHORIZED, TOO_MANY = (401, "unauthorized"), (429, "too_many_requests")
MOST = 20
PHONE, REPORTS = "+14155552671", "/infobip/delivery-reports"

SendRequest = Callable[[Service, dict[str, str], str], requests.Response]
ROUTES: dict[str, SendRequest] = {
    "send": lambda service, headers, key: service.send(PHONE, headers=with_key(headers, key)),
    "resend": lambda service, headers, key: service.post(
        "/resend-otp", {"phoneNumber": PHONE}, headers=with_key(headers, key)
    ),
    "verify": lambda service, headers, key: service.verify(PHONE, "123456", headers=with_key(headers, key)),
    "redeem": lambda service, headers, key: service.post(
        "/proofs/redeem", {"proof": "x"}, headers=with_key(headers, key)
    ),
    "verification": lambda service, headers, key: service.get("/verifications/x", **with_key(headers, key)),
    "reports": lambda service, headers, key: service.post(REPORTS, {"results": []}, headers=with_key(headers, key)),
    "reports by path": lambda service, headers, key: service.post(f"{REPORTS}/{key}", {"results": []}, headers=headers),
}


def with_key(headers: dict[str, str], key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **headers}


def at(address: str, **more: str) -> dict[str, str]:
    return {"X-Forwarded-For": address, **more}


def wrong_key(number: int) -> str:
    return f"wrong-key-{number:010}"


@pytest.fixture
def closed(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with all routes that need a key or a secret."""
    return start(sandbox.url, **SETTINGS)


@pytest.mark.parametrize("route", ROUTES)
def test_an_address_may_send_twenty_wrong_keys(closed: Service, sandbox: Sandbox, route: str) -> None:
    send_request, here = ROUTES[route], at("192.0.2.1")
    for number in range(MOST):
        assert refusal(send_request(closed, here, wrong_key(number))) == UNAUTHORIZED
    refused = send_request(closed, here, wrong_key(MOST))
    assert refusal(refused) == TOO_MANY
    assert 1 <= int(refused.headers["Retry-After"]) <= 300
    assert refused.headers["X-RateLimit-Limit"] == str(MOST)
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refusal(send_request(closed, at("192.0.2.2"), wrong_key(MOST))) == UNAUTHORIZED, "another address"
    assert sandbox.request_count() == 0


def test_wrong_keys_are_counted_over_all_routes(closed: Service) -> None:
    routes = [*ROUTES.values()]
    for number in range(MOST):
        assert refusal(routes[number % len(routes)](closed, at("192.0.2.1"), wrong_key(number))) == UNAUTHORIZED
    for send_request in routes:
        assert refusal(send_request(closed, at("192.0.2.1"), wrong_key(MOST))) == TOO_MANY


def test_the_right_key_is_still_accepted(closed: Service, sandbox: Sandbox) -> None:
    """A client that shares its address with a stranger, or with an instance that has an old key, is not locked out."""
    for number in range(MOST + 1):
        ROUTES["send"](closed, at("192.0.2.1"), wrong_key(number))
    assert [send_request(closed, at("192.0.2.1"), KEY).status_code for send_request in list(ROUTES.values())[:5]] == [
        200,
        429,  # the cooldown
        401,
        401,
        404,
    ]
    for route in ("reports", "reports by path"):
        assert ROUTES[route](closed, at("192.0.2.1"), SECRET).status_code == 200
    assert len(sandbox.pins(PHONE)) == 1


def test_a_wrong_key_cannot_name_an_end_user(closed: Service) -> None:
    for number in range(MOST + 1):
        answer = ROUTES["verify"](
            closed, at("192.0.2.1", **{"X-End-User-IP": f"192.0.2.{number + 50}"}), wrong_key(number)
        )
    assert refusal(answer) == TOO_MANY


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer"}, {"Authorization": f"Basic {KEY}"}])
def test_a_request_without_a_key_is_not_counted(
    closed: Service, database: redis.Redis, headers: dict[str, str]
) -> None:
    for _ in range(MOST + 2):
        assert refusal(closed.send(PHONE, headers=at("192.0.2.1", **headers))) == UNAUTHORIZED
    assert list(database.scan_iter("otp:LIMITS:*")) == []


def test_a_right_key_costs_no_round_trip(start: Start, servers: Servers, sandbox: Sandbox) -> None:
    """The test has its own Redis, because the services of other tests still run scripts in the background."""
    port = servers.start(free_port())
    closed = start(sandbox.url, **SETTINGS, REDIS_URL=f"redis://127.0.0.1:{port}/0")

    def scripts() -> int:
        return int(node(port).info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])

    ROUTES["verification"](closed, at("192.0.2.1"), wrong_key(0))  # loads the script
    before = scripts()
    for _ in range(5):
        assert refusal(ROUTES["verification"](closed, at("192.0.2.1"), KEY)) == (404, "not_found")
    assert scripts() == before
    ROUTES["verification"](closed, at("192.0.2.1"), wrong_key(1))
    assert scripts() == before + 1


def test_the_log_line_has_wrong_keys_as_its_reason(closed: Service) -> None:
    refused = [ROUTES["send"](closed, at("192.0.2.9"), wrong_key(number)) for number in range(MOST + 1)][-1]
    closed.log_with(refused)
    (line,) = closed.lines(event="request", request_id=refused.headers["X-Request-ID"])
    assert (line["reason"], line["outcome"], line["client"]) == ("wrong_keys", "limited", None)


def test_a_wrong_key_is_refused_without_redis(start: Start, sandbox: Sandbox) -> None:
    service = start(sandbox.url, **SETTINGS, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    for send_request in ROUTES.values():
        assert refusal(send_request(service, at("192.0.2.1"), wrong_key(0))) == UNAUTHORIZED
    assert refusal(ROUTES["send"](service, at("192.0.2.1"), KEY)) == (503, "service_unavailable")
    assert sandbox.request_count() == 0
