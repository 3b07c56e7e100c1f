"""Only web pages of the origins in CORS_ORIGINS can read the responses of the service, also its refusals."""

from collections.abc import Callable

import pytest
import redis
import requests

from config import SettingsError, load_settings
from tests.support.running import Sandbox, Service, refusal
from tests.web.test_clients import GIVEN

APP, OTHER = "https://app.example.com", "http://localhost:8080"
KEY = "shop-key-0123456789"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,x-request-id,x-end-user-ip",
}


@pytest.fixture
def browsed(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    return start(sandbox.url, CORS_ORIGINS=f"{APP}, {OTHER}", API_KEYS=f"shop:{KEY}", SEND_OTP_LIMIT="1 per minute")


def preflight(service: Service, path: str, origin: str) -> requests.Response:
    return requests.options(f"{service.url}{path}", headers={"Origin": origin, **PREFLIGHT}, timeout=5)


def cors(response: requests.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("Access-Control-")}


@pytest.mark.parametrize("path", ["/send-otp", "/resend-otp", "/verify-otp"])
@pytest.mark.parametrize("origin", [APP, OTHER])
def test_a_preflight_needs_no_key(browsed: Service, database: redis.Redis, path: str, origin: str) -> None:
    response = preflight(browsed, path, origin)
    assert response.status_code == 200
    headers = cors(response)
    assert headers["Access-Control-Allow-Origin"] == origin
    assert headers["Access-Control-Allow-Methods"] == "POST"
    allowed = {name.strip().lower() for name in headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed == {"authorization", "content-type", "idempotency-key", "x-request-id"}
    assert "Access-Control-Allow-Credentials" not in headers
    assert not list(database.scan_iter("otp:LIMITS:*")), "it counts against no limit"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null", f"{APP}:8443",
     "https://appXexample.com"],
)  # fmt: skip
def test_other_origins_get_no_cors_headers(browsed: Service, phone: str, origin: str) -> None:
    assert cors(preflight(browsed, "/send-otp", origin)) == {}
    headers = {"Origin": origin, "Authorization": f"Bearer {KEY}"}
    assert cors(browsed.verify(phone, "123456", headers=headers)) == {}


def test_responses_and_refusals_have_cors_headers(browsed: Service, phone: str) -> None:
    known = {"Origin": APP, "Authorization": f"Bearer {KEY}"}
    responses = [
        browsed.send(phone, headers=known),
        browsed.send(phone, headers=known),
        browsed.send(phone, headers={"Origin": APP}),
        browsed.verify(phone, "x", headers=known),
        browsed.post("/send-otp", data=b"x", headers={**known, "Content-Type": "text/plain"}),
        requests.get(f"{browsed.url}/send-otp", headers={"Origin": APP}, timeout=5),
    ]
    assert [r.status_code for r in responses] == [200, 429, 401, 400, 429, 405]
    for response in responses:
        headers = cors(response)
        assert headers["Access-Control-Allow-Origin"] == APP
        exposed = set(headers["Access-Control-Expose-Headers"].split(", "))
        assert exposed == {
            "RateLimit", "RateLimit-Policy", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining",
            "X-RateLimit-Reset", "X-Request-ID",
        }  # fmt: skip
        assert "Access-Control-Allow-Credentials" not in headers
        assert "Origin" in response.headers["Vary"]


def test_a_request_without_an_origin_gets_no_cors_headers(browsed: Service, phone: str) -> None:
    assert cors(browsed.verify(phone, "123456", headers={"Authorization": f"Bearer {KEY}"})) == {}


def test_other_routes_have_no_cors_headers(browsed: Service) -> None:
    assert cors(requests.get(f"{browsed.url}/readyz", headers={"Origin": APP}, timeout=5)) == {}


def test_no_origin_is_allowed_by_default(service: Service, phone: str) -> None:
    assert cors(preflight(service, "/send-otp", APP)) == {}
    response = service.verify(phone, "123456", headers={"Origin": APP})
    assert (refusal(response), cors(response)) == ((401, "invalid_otp"), {})


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*.example.com", "null", "app.example.com", "https://app.example.com/", "ftp://x", "https://",
     "https://a b", "https://user@x", "https://x:443", "http://x:80", "https://x:0", "https://x.", "https://x?",
     "https://[::1]", ".*", f"{APP},*", "capacitor://", "capacitor://localhost/", "capacitor:localhost", "://localhost",
     "capacitor://*", "1app://x", "app://user@x", "app://x?", "app://x:0", "file://x", "data://x", "ws://x", "blob:https://x"],
)  # fmt: skip
def test_an_invalid_origin_ends_the_start(origin: str) -> None:
    with pytest.raises(SettingsError, match="CORS_ORIGINS: must be origins like"):
        load_settings({**GIVEN, "CORS_ORIGINS": origin})


OF_APPS = [
    "ionic://localhost", "tauri://localhost", "app://x", "chrome-extension://abcdefghijklmnop",
    "com.example.app://localhost", "http://localhost:8100", "https://localhost", "http://localhost", "https://tauri.localhost",
    "Capacitor://LocalHost",
]  # fmt: skip


def test_origins_of_apps_are_allowed(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> None:
    """Capacitor, Ionic, Tauri, Electron and extensions use such origins. Similar ones still get no CORS headers."""
    service = start(sandbox.url, CORS_ORIGINS=",".join(OF_APPS), WEB_CONCURRENCY="1")
    for origin in map(str.lower, OF_APPS):
        assert cors(preflight(service, "/send-otp", origin))["Access-Control-Allow-Origin"] == origin
        for other in ("null", f"{origin}.evil.example", origin.replace("://", "x://"), "https://evil.example"):
            assert cors(preflight(service, "/send-otp", other)) == {}, other


def test_origins_are_normalised_as_a_browser_writes_them() -> None:
    written = "https://App.Example.com, http://localhost:8080,https://x:80,"
    assert load_settings({**GIVEN, "CORS_ORIGINS": written}).cors_origins == {APP, OTHER, "https://x:80"}
