"""A client app is known by its API keys, has limits of its own, and names the end users that it sends requests for."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import requests

from config import SettingsError, load_settings
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.command import eventually
from tests.support.running import ACCOUNT, DEFAULT_LIMITS, Sandbox, Service, refusal

Start = Callable[..., Service]
SHOP, SHOP_NEXT, BANK = "shop-key-0123456789", "shop-key-9876543210", "bank-key-0123456789"
API_KEYS = f"shop:{SHOP}, shop:{SHOP_NEXT}, bank:{BANK}"
UNAUTHORIZED = (401, "unauthorized")
TOO_MANY = (429, "too_many_requests")
GIVEN = {"INFOBIP_BASE_URL": "x.api.infobip.com", "REDIS_URL": "redis://localhost", **ACCOUNT}
# The 6 seconds are enough for a few requests on a busy machine; tests wait for them where Retry-After says so.
FEW = "shop: send=2 per 6 seconds; verify=3 per minute, bank: quota=2 per 6 seconds"


@pytest.fixture
def closed(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with API keys and its default limits per address."""
    return start(sandbox.url, API_KEYS=API_KEYS, **DEFAULT_LIMITS)


@pytest.fixture
def bounded(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with limits for each client app and none per address."""
    return start(sandbox.url, API_KEYS=API_KEYS, CLIENT_LIMITS=FEW)


@pytest.fixture
def phones() -> Iterator[str]:
    return (f"+49158{n}" for n in range(10000000, 10001000))


def bearer(key: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **more}


def user(address: str) -> dict[str, str]:
    return bearer(SHOP, **{"X-End-User-IP": address})


@pytest.mark.parametrize("key", [SHOP, SHOP_NEXT, BANK])
def test_every_key_is_accepted_for_send_and_verify(closed: Service, sandbox: Sandbox, phone: str, key: str) -> None:
    assert closed.send(phone, headers=bearer(key)).status_code == 200
    assert closed.verify(phone, sandbox.pin(phone), headers={"Authorization": f"bearer {key}"}).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Basic {SHOP}", SHOP, f"Bearer {SHOP[:-1]}", f"Bearer {SHOP}x", f"Bearer shop:{SHOP}",
     f"Bearer {SHOP.upper()}", "Bearer \xe9\xe9\xe9\xe9", f"Bearer {SHOP} {BANK}", f"Bearer {SHOP},{BANK}"],
    ids=ascii,
)  # fmt: skip
def test_send_and_verify_are_refused_without_a_key(
    closed: Service, sandbox: Sandbox, database: redis.Redis, phone: str, authorization: str
) -> None:
    headers = {"Authorization": authorization.encode("latin-1")}
    for response in (closed.send(phone, headers=headers), closed.verify(phone, "123456", headers=headers)):
        assert refusal(response) == UNAUTHORIZED
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert sandbox.messages == []
    assert sandbox.verifies() == 0
    counted = {key.split("/")[2] for key in database.scan_iter("otp:LIMITS:*")}
    assert counted <= {"wrong_key"}, "a stranger uses up nobody's limit"


def test_the_small_endpoints_need_no_key(closed: Service) -> None:
    for path in ("/", "/healthz", "/readyz"):
        assert requests.get(f"{closed.url}{path}", timeout=5).status_code == 200


def test_a_key_appears_in_no_response_and_no_log_line(closed: Service, phone: str) -> None:
    for key in (SHOP, "a-wrong-key-0123456789"):
        response = closed.send(phone, headers=bearer(key))
        assert key not in closed.log_with(response) + response.text + str(response.headers)


def test_each_client_has_rate_limits_of_its_own(bounded: Service, phones: Iterator[str]) -> None:
    sent = [bounded.send(next(phones), headers=user(f"192.0.2.{n}")) for n in range(3)]
    assert [r.status_code for r in sent] == [200, 200, 429]
    assert refusal(sent[2]) == TOO_MANY
    assert bounded.send(next(phones), headers=bearer(SHOP_NEXT)).status_code == 429, "both keys are one client"
    assert bounded.send(next(phones), headers=bearer(BANK)).status_code == 200
    verified = [bounded.verify(next(phones), "123456", headers=bearer(SHOP)).status_code for _ in range(4)]
    assert verified == [401, 401, 401, 429]
    assert bounded.verify(next(phones), "123456", headers=bearer(BANK)).status_code == 401
    time.sleep(int(sent[2].headers["Retry-After"]))
    assert bounded.send(next(phones), headers=bearer(SHOP)).status_code == 200


def test_client_rates_apply_in_addition_to_address_limits(
    start: Start, database: redis.Redis, sandbox: Sandbox, phones: Iterator[str]
) -> None:
    service = start(sandbox.url, API_KEYS=API_KEYS, CLIENT_LIMITS="shop: send=100 per minute", **DEFAULT_LIMITS)
    responses = [service.send(next(phones), headers=bearer(SHOP)) for _ in range(6)]
    assert [r.status_code for r in responses] == [200] * 5 + [429]
    assert [r.headers["X-RateLimit-Remaining"] for r in responses] == ["4", "3", "2", "1", "0", "0"]
    assert int(responses[5].headers["Retry-After"]) > 60, "the address's, not the client's"


def test_typos_and_double_taps_cost_a_client_no_send(
    start: Start, database: redis.Redis, sandbox: Sandbox, phones: Iterator[str], phone: str
) -> None:
    rates = "shop: send=2 per hour; verify=2 per hour"
    service = start(sandbox.url, API_KEYS=API_KEYS, CLIENT_LIMITS=rates)
    refused = [service.send(number, headers=bearer(SHOP)).status_code for number in ("x", phone, phone, "y", "z", "+")]
    assert refused == [400, 200, 429, 400, 400, 400]
    assert [service.verify(phone, "12", headers=bearer(SHOP)).status_code for _ in range(6)] == [400] * 6
    assert service.send(next(phones), headers=bearer(SHOP)).status_code == 200
    assert refusal(service.send("x", headers=bearer(SHOP))) == TOO_MANY
    assert [service.verify(phone, "12", headers=bearer(SHOP)).status_code for _ in range(3)] == [400] * 2 + [429]


def test_what_the_client_rate_refuses_does_not_count_against_the_address(
    start: Start, database: redis.Redis, sandbox: Sandbox, phones: Iterator[str]
) -> None:
    service = start(sandbox.url, API_KEYS=API_KEYS, CLIENT_LIMITS="shop: send=1 per hour", **DEFAULT_LIMITS)
    answers = [service.send(next(phones), headers=bearer(SHOP)) for _ in range(4)]
    assert [(r.status_code, r.headers["X-RateLimit-Remaining"]) for r in answers] == [(200, "4")] + [(429, "4")] * 3


def test_the_quota_counts_the_sms_of_one_client(
    bounded: Service, sandbox: Sandbox, phones: Iterator[str], phone: str
) -> None:
    assert bounded.send(phone, headers=bearer(BANK)).status_code == 200
    for _ in range(3):
        assert refusal(bounded.send(phone, headers=bearer(BANK))) == TOO_MANY, "the cooldown: no SMS"
    assert bounded.send(next(phones), headers=bearer(BANK)).status_code == 200
    refused = bounded.send(next(phones), headers=bearer(BANK))
    assert refusal(refused) == TOO_MANY
    assert len(sandbox.messages) == 2
    assert bounded.send(next(phones), headers=bearer(SHOP)).status_code == 200
    time.sleep(int(refused.headers["Retry-After"]))
    assert bounded.send(next(phones), headers=bearer(BANK)).status_code == 200


def test_the_quota_counts_e_mails_separately(start: Start, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    """E-mails must not use up the quota for SMS."""
    given = {"CLIENT_LIMITS": "shop: quota=1 per day", "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    service = start(sandbox.url, API_KEYS=API_KEYS, **given)
    bodies = [{"email": "a@example.com"}, {"email": "b@example.com"}, {"phoneNumber": phone}]
    responses = [service.post("/send-otp", body, headers=bearer(SHOP)) for body in bodies]
    assert [r.status_code for r in responses] == [200, 429, 200]
    assert service.post("/send-otp", bodies[1], headers=bearer(BANK)).status_code == 200


def test_each_client_has_a_quota_of_its_own(
    start: Start, database: redis.Redis, sandbox: Sandbox, phones: Iterator[str]
) -> None:
    service = start(sandbox.url, API_KEYS=API_KEYS, CLIENT_LIMITS="shop: quota=1 per day, bank: quota=1 per day")
    responses = [service.send(next(phones), headers=bearer(key)) for key in (SHOP, SHOP_NEXT, BANK)]
    assert [r.status_code for r in responses] == [200, 429, 200]


def test_a_send_that_the_quota_refuses_counts_nowhere_else(
    bounded: Service, database: redis.Redis, phones: Iterator[str], phone: str
) -> None:
    for _ in range(2):
        bounded.send(next(phones), headers=bearer(BANK))
    assert refusal(bounded.send(phone, headers=bearer(BANK))) == TOO_MANY
    assert not [key for key in database.scan_iter() if phone in key]
    assert [database.hget(key, "sum") for key in database.scan_iter("otp:LIMITS:*total*")] == ["2"]


def test_limits_count_the_end_user_that_a_backend_names(closed: Service, phone: str) -> None:
    def left(address: str) -> str:
        return str(closed.verify(phone, "123456", headers=user(address)).headers["X-RateLimit-Remaining"])

    assert [left("192.0.2.1"), left("192.0.2.1"), left("192.0.2.2"), left("::ffff:192.0.2.2")] == ["9", "8", "9", "8"]
    assert [left("64:ff9b::192.0.2.2"), left("64:ff9b::192.0.2.3")] == ["7", "9"], "behind NAT64"
    assert [left("2001:db8::1"), left("2001:db8::ffff"), left("2001:db8:0:1::1")] == ["9", "8", "9"]
    assert closed.verify(phone, "123456", headers=bearer(SHOP)).headers["X-RateLimit-Remaining"] == "9", "its own"


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_client_cannot_use_up_the_address_limits_of_another(
    closed: Service, phones: Iterator[str], phone: str, address: str
) -> None:
    """It cannot do so by naming the address of the other client's end user."""

    def for_user(key: str) -> dict[str, dict[str, str]]:
        return {"headers": bearer(key, **{"X-End-User-IP": address})}

    sent = [closed.send(next(phones), **for_user(SHOP)).status_code for _ in range(6)]
    verified = [closed.verify(phone, "123456", **for_user(SHOP)).status_code for _ in range(11)]
    assert (sent, verified) == ([200] * 5 + [429], [401] * 10 + [429])
    again = {"phoneNumber": phone}
    assert closed.post("/resend-otp", again, **for_user(SHOP_NEXT)).status_code == 429, "both keys are one client"
    assert closed.verify(phone, "123456", **for_user(SHOP_NEXT)).status_code == 429
    assert closed.send(next(phones), **for_user(BANK)).headers["X-RateLimit-Remaining"] == "4"
    assert closed.post("/resend-otp", again, **for_user(BANK)).headers["X-RateLimit-Remaining"] == "3"
    assert closed.verify(phone, "123456", **for_user(BANK)).headers["X-RateLimit-Remaining"] == "9"


def test_the_48_limit_applies_to_end_users_too(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, API_KEYS=API_KEYS, VERIFY_OTP_LIMIT="1 per 5 minutes")
    responses = [service.verify("+14155552671", "123456", headers=user(f"2001:db8:7:{n:x}::1")) for n in range(11)]
    assert [response.status_code for response in responses] == [401] * 10 + [429]
    theirs = bearer(BANK, **{"X-End-User-IP": "2001:db8:7:b::1"})
    assert service.verify("+14155552671", "", headers=theirs).status_code == 400


def test_without_keys_the_limit_key_has_only_the_address(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, **DEFAULT_LIMITS)
    service.verify(phone, "123456")
    assert database.keys("otp:LIMITS:*") == ["otp:LIMITS:LIMITER/127.0.0.1/verify_otp/10/5/minute"]


def test_a_client_cannot_use_up_the_countries_of_another(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    """The guard counts the countries that an address sends to separately for each client."""
    service = start(sandbox.url, API_KEYS=API_KEYS, FRAUD_GUARD="block")
    abroad = ["+4915112345678", "+33612345678", "+447400123456", "+34612345678"]
    assert [service.send(number, headers=user("192.0.2.1")).status_code for number in abroad] == [200, 200, 200, 429]
    theirs = bearer(BANK, **{"X-End-User-IP": "192.0.2.1"})
    assert service.send(abroad[3], headers=theirs).status_code == 200
    assert service.verify(abroad[3], sandbox.pin(abroad[3]), headers=theirs).status_code == 200
    eventually(lambda: database.keys("otp:guard:address:*") == ["otp:guard:address:shop/192.0.2.1"])


@pytest.mark.parametrize(
    "address",
    ["", "x", "192.0.2.1, 192.0.2.2", "192.0.2.1:80", "[::1]", "192.0.2.0/24", "fe80::1%eth0", "1", "192.0.2"],
)
def test_an_invalid_end_user_address_is_refused(closed: Service, sandbox: Sandbox, phone: str, address: str) -> None:
    assert refusal(closed.send(phone, headers=user(address))) == (400, "invalid_request")
    assert sandbox.calls == []


def test_without_keys_x_end_user_ip_is_ignored(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, **DEFAULT_LIMITS)
    responses = [service.verify(phone, "123456", headers={"X-End-User-IP": a}) for a in ("192.0.2.1", "192.0.2.2", "x")]
    assert [r.headers["X-RateLimit-Remaining"] for r in responses] == ["9", "8", "7"]


def test_a_start_without_keys_warns_once(
    tmp_path: Path, database: redis.Redis, sandbox: Sandbox, redis_url: str, closed: Service
) -> None:
    warning = "API_KEYS is not set: whoever reaches this service"
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "WEB_CONCURRENCY": "2"}
    with Service.started(tmp_path, settings) as service:
        service.wait_until_up(2)
    assert service.log().count(warning) == 1
    assert warning not in closed.log()


def test_a_file_of_keys_may_have_one_per_line(
    start: Start, database: redis.Redis, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"shop:{SHOP}\nbank:{BANK},shop:{SHOP_NEXT}\n\n")
    service = start(sandbox.url, API_KEYS_FILE=str(file))
    assert [service.verify(phone, "123456", headers=bearer(key)).json()["code"] for key in (SHOP, BANK, SHOP_NEXT)] == [
        "invalid_otp"
    ] * 3
    assert refusal(service.verify(phone, "123456")) == UNAUTHORIZED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("API_KEYS", v)
            for v in (SHOP, f"Shop:{SHOP}", f":{SHOP}", "shop:secret-15-chars", f"{'a' * 33}:{SHOP}", ",")
        ),
        *(("API_KEYS", v) for v in ("shop:secret with blanks in it", f"shop:secret-é{SHOP}", f"a:{SHOP},b:{SHOP}")),
        *(("CLIENT_LIMITS", v) for v in ("shop", "shop:", "shop: send", "shop: send=5", "shop: sent=5 per day", ",")),
        *(("CLIENT_LIMITS", v) for v in ("shop: send=0 per day", "shop: send=1 per day; send=2 per day", "send=5")),
        *(("CLIENT_LIMITS", v) for v in ("shop: quota=1 per day, shop: send=1 per day", "other: send=5 per day")),
    ],
)
def test_an_error_names_a_bad_setting_and_does_not_show_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"(?m)^  {name}: must ") as raised:
        load_settings({**GIVEN, "API_KEYS": API_KEYS, name: value})
    assert str(raised.value).count("\n") == 2
    assert not any(word in str(raised.value) for word in ("secret", SHOP, BANK))


def test_limits_of_clients_need_keys_and_keys_are_hidden() -> None:
    with pytest.raises(SettingsError, match="CLIENT_LIMITS: must be of clients that API_KEYS names"):
        load_settings({**GIVEN, "CLIENT_LIMITS": "shop: send=5 per day"})
    settings = load_settings({**GIVEN, "API_KEYS": API_KEYS, "CLIENT_LIMITS": FEW.replace(", ", "\n")})
    assert str(settings.client_limits["bank"].quota) == "2 per 6 second"
    assert SHOP not in repr(settings) + str(settings)
