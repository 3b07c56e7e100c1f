"""Alerts are signed, sent once, and delay no request."""

import itertools
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from otp.alerts.alert import Alert
from otp.alerts.alerts import Alerts
from otp.alerts.counts import GUARD_REFUSAL, LOCKED_OUT, MOST, MOST_NAMES_IN_REDIS, RIGHT, WRONG, FailedVerifies, Rates
from otp.alerts.sender import MOST_WAITING, QUIET, Sender
from otp.alerts.webhook import Webhook, signing_key
from otp.redis.client import RedisClient, connect
from sandbox.server import EMAIL_MESSAGE_ID
from tests.send_limits.test_budget import numbers
from tests.support.receiver import SECRET, Receiver, until
from tests.support.running import Sandbox, Service, other_pin
from tests.support.upstream import Upstream, error

ALERT = Alert("test.happened", "It has happened.", {"times": 1})
Run = Callable[..., Service]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def redis_url(redis_url: str) -> str:
    """The URL of a database in which no service of another test still counts."""
    return redis_url.removesuffix("/0") + "/1"


@pytest.fixture
def client(database: redis.Redis, redis_url: str) -> Iterator[RedisClient]:
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def settings(database: redis.Redis, redis_url: str, receiver: Receiver) -> dict[str, str]:
    webhook = {"ALERT_WEBHOOK_URL": receiver.url, "ALERT_WEBHOOK_SECRET": SECRET, "SMS_PRICES": PRICES}
    return {"REDIS_URL": redis_url, **webhook}


PRICES = '{"currency": "EUR", "default": 0.1}'


def new_sender(client: RedisClient, receiver: Receiver) -> Sender:
    return Sender(client, Webhook(receiver.url, signing_key(SECRET)))


def test_the_thresholds_of_a_budget_reach_the_receiver_once_each(
    settings: dict[str, str], sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    phones = numbers()
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": sandbox.url, "DAILY_BUDGET": "1"}) as service:
        statuses = [service.send(next(phones)).status_code for _ in range(12)]
        until(lambda: len(receiver.deliveries) >= 3)
    assert statuses == [200] * 10 + [503] * 2
    alerts = [delivery.verified() for delivery in receiver.deliveries]
    assert sorted(alert["data"]["percent"] for alert in alerts) == [50, 80, 100]
    first = min(alerts, key=lambda alert: alert["data"]["percent"])
    assert list(first) == ["type", "timestamp", "data"]
    assert first["type"] == "budget.threshold"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["timestamp"])
    day = first["timestamp"][:10]
    sentence = f"50 % of the budget for {day} (1.00 EUR) is spent."
    assert first["data"] == {"sentence": sentence, "period": day, "percent": 50, "budget": "1.00", "currency": "EUR"}


@pytest.mark.parametrize(
    ("limited", "member", "refused"),
    [
        (("TOTAL_SEND_LIMIT", "2 per day"), "phoneNumber", "SMS or calls for anybody"),
        (("TOTAL_EMAIL_LIMIT", "2 per day"), "email", "e-mails for anybody"),
        (("CLIENT_LIMITS", "shop: quota=2 per day"), "phoneNumber", "SMS or calls for shop"),
        (("CLIENT_LIMITS", "shop: quota=2 per day"), "email", "e-mails for shop"),
    ],
)
def test_a_used_up_limit_of_all_sends_raises_one_alert_per_window(  # noqa: PLR0917
    settings: dict[str, str],
    database: redis.Redis,
    sandbox: Sandbox,
    receiver: Receiver,
    tmp_path: Path,
    limited: tuple[str, str],
    member: str,
    refused: str,
) -> None:
    """Two workers raise one alert in all. The last send that the limit allows raises none."""
    setting, limit = limited
    key = "shop-key-0123456789"
    given = {**settings, "INFOBIP_BASE_URL": sandbox.url, "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    phones = numbers() if member == "phoneNumber" else (f"person{n}@example.com" for n in itertools.count())
    headers = {"Authorization": f"Bearer {key}"}
    with Service.started(tmp_path, {**given, "API_KEYS": f"shop:{key}", setting: limit}) as service:

        def send() -> int:
            return service.post("/send-otp", {member: next(phones)}, headers=headers).status_code

        assert [send() for _ in range(2)] == [200] * 2
        assert list(database.scan_iter("otp:alert:*")) == []
        assert [send() for _ in range(12)] == [429] * 12
        until(lambda: receiver.deliveries)
    assert receiver.types() == ["limit.reached"]
    data = receiver.deliveries[0].verified()["data"]
    assert data["sentence"] == f"{setting} (2 per 1 day) is used up: no more {refused} until there is room."
    assert (data["limit"], data["amount"], data["seconds"]) == (setting, 2, 86400)
    (taken,) = database.scan_iter("otp:alert:*")
    assert 86400 - 60 < database.ttl(taken) <= 86400


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_api_key_raises_one_alert_over_all_workers(
    settings: dict[str, str], upstream: Upstream, receiver: Receiver, tmp_path: Path, status: int
) -> None:
    """Waiting alerts are sent when the worker stops, so the test counts all of them."""
    upstream.script.extend(error(status, "UNAUTHORIZED") for _ in range(20))
    phones = numbers()
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": upstream.url}) as service:
        assert {service.send(next(phones)).status_code for _ in range(20)} == {502}
    assert receiver.types() == ["provider.credentials_refused"]
    assert receiver.deliveries[0].verified()["data"]["status"] == status


def test_other_errors_of_infobip_raise_no_alert(
    settings: dict[str, str], upstream: Upstream, receiver: Receiver, tmp_path: Path
) -> None:
    upstream.script.extend(error(status, "BAD_REQUEST") for status in (400, 404, 429, 500))
    phones = numbers()
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": upstream.url}) as service:
        for _ in range(4):
            service.send(next(phones))
    assert receiver.deliveries == []


def test_a_refused_api_key_at_a_verify_raises_an_alert_too(
    settings: dict[str, str], upstream: Upstream, receiver: Receiver, tmp_path: Path, phone: str
) -> None:
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": upstream.url}) as service:
        service.send(phone)
        upstream.script.append(error(403, "FORBIDDEN"))
        service.verify(phone, "123456")
    assert receiver.types() == ["provider.credentials_refused"]
    assert phone.encode()[1:] not in receiver.deliveries[0].body


def test_a_silent_receiver_delays_no_send(
    settings: dict[str, str], upstream: Upstream, receiver: Receiver, tmp_path: Path
) -> None:
    """If the send waited for the webhook, its response would come only after three attempts."""
    receiver.hold()
    upstream.script.append(error(401, "UNAUTHORIZED"))
    one = {"WEB_CONCURRENCY": "1", "INFOBIP_BASE_URL": upstream.url}
    phones = numbers()
    with Service.started(tmp_path, {**settings, **one}) as service:
        assert service.send(next(phones)).status_code == 502
        assert len(receiver.deliveries) <= 1
        until(lambda: receiver.deliveries)
        assert {service.send(next(phones)).status_code for _ in range(5)} == {200}
        assert len(receiver.deliveries) < 3, "it is not at its last try yet"


def test_an_unreachable_receiver_causes_no_500(settings: dict[str, str], upstream: Upstream, tmp_path: Path) -> None:
    gone = {"ALERT_WEBHOOK_URL": "http://127.0.0.1:1/", "INFOBIP_BASE_URL": upstream.url}
    upstream.script.append(error(401, "UNAUTHORIZED"))
    with Service.started(tmp_path, {**settings, **gone}) as service:
        assert service.send(next(numbers())).status_code == 502
        until(lambda: "provider.credentials_refused: Infobip refuses" in service.log())
    assert "Traceback" not in service.log()


def test_three_attempts_have_one_id_and_follow_no_redirect(client: RedisClient, receiver: Receiver) -> None:
    receiver.statuses.extend([500, 302])
    sender = new_sender(client, receiver)
    sender.send(ALERT)
    sender.finish(15)
    assert [delivery.path for delivery in receiver.deliveries] == ["/hook?token=1"] * 3
    assert len({delivery.headers["webhook-id"] for delivery in receiver.deliveries}) == 1
    assert [delivery.verified()["data"] for delivery in receiver.deliveries] == [
        {"sentence": "It has happened.", "times": 1}
    ] * 3


def test_an_alert_that_no_attempt_delivers_is_logged(
    client: RedisClient, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses.extend([500, 404, 301, 500])
    sender = new_sender(client, receiver)
    sender.send(ALERT)
    sender.finish(15)
    assert len(receiver.deliveries) == 3
    assert caplog.record_tuples == [("otp.alerts", logging.WARNING, "test.happened: It has happened.")]


def test_a_proxy_in_the_environment_is_not_used(
    client: RedisClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    assert Webhook(receiver.url, signing_key(SECRET)).post(ALERT)


def test_two_workers_send_one_alert(client: RedisClient, database: redis.Redis, receiver: Receiver) -> None:
    workers = [new_sender(client, receiver), new_sender(client, receiver)]
    for _ in range(3):
        for worker in workers:
            worker.send(ALERT)
            worker.finish(5)
    assert len(receiver.deliveries) == 1
    assert QUIET - 10 < database.ttl("otp:alert:test.happened") <= QUIET
    database.delete("otp:alert:test.happened")  # as it is ten minutes later
    workers[1].send(ALERT)
    workers[1].finish(5)
    assert len(receiver.deliveries) == 2


def test_alerts_with_different_subjects_are_sent_separately(client: RedisClient, receiver: Receiver) -> None:
    sender = new_sender(client, receiver)
    for subject in ("a", "b", "a"):
        sender.send(Alert("test.happened", subject, subject=subject))
    sender.finish(5)
    assert [delivery.verified()["data"]["sentence"] for delivery in receiver.deliveries] == ["a", "b"]


def test_without_a_webhook_an_alert_is_logged_once(client: RedisClient, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        sender = Sender(client, None)
        sender.send(ALERT)
        sender.finish(5)
    assert caplog.record_tuples == [("otp.alerts", logging.WARNING, "test.happened: It has happened.")]


def test_waiting_alerts_are_bounded(client: RedisClient, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    sender = new_sender(client, receiver)
    for n in range(MOST_WAITING + 2):
        sender.send(Alert("test.happened", "It has.", subject=str(n)))
    assert [record.getMessage() for record in caplog.records] == [
        f"an alert was dropped, for too many wait: test.happened:{n}" for n in (MOST_WAITING, MOST_WAITING + 1)
    ]
    sender.finish(15)
    assert len(receiver.deliveries) == MOST_WAITING


def test_without_redis_an_alert_is_dropped_and_the_log_says_so(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with connect("redis://127.0.0.1:1/0") as nowhere:
        sender = new_sender(nowhere, receiver)
        sender.send(ALERT)
        sender.finish(5)
    assert receiver.deliveries == []
    assert "an alert was dropped, for Redis failed: test.happened" in caplog.messages


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def alert_types_after(rates: Rates, **counts: int) -> list[str]:
    """Return the types of the alerts after these counts."""
    for name, count in counts.items():
        for _ in range(count):
            rates.count(name)
    return [alert.type for alert in rates.flush()]


def test_an_alert_if_over_30_percent_of_at_least_100_pins_are_wrong(client: RedisClient, database: redis.Redis) -> None:
    for right, mistaken, expected in ((70, 30, []), (69, 31, ["pins.wrong"]), (0, 99, []), (0, 100, ["pins.wrong"])):
        assert alert_types_after(Rates(client, Clock()), **{RIGHT: right, WRONG: mistaken}) == expected
        database.flushall()


def test_an_alert_after_over_20_refusals_of_the_guard(client: RedisClient) -> None:
    rates = Rates(client, Clock())
    assert alert_types_after(rates, **{GUARD_REFUSAL: 20}) == []
    assert alert_types_after(rates, **{GUARD_REFUSAL: 1}) == ["guard.refusals"]


def test_rates_cover_all_workers_and_five_minutes(client: RedisClient) -> None:
    clock = Clock()
    workers = [Rates(client, clock), Rates(client, clock)]
    assert alert_types_after(workers[0], **{GUARD_REFUSAL: 11}) == []
    clock.now += 240
    assert alert_types_after(workers[1], **{GUARD_REFUSAL: 10}) == ["guard.refusals"]
    clock.now += 60
    assert alert_types_after(workers[1]) == [], "the first eleven are too old"


def test_counts_are_written_to_redis_only_with_the_next_flush(client: RedisClient, database: redis.Redis) -> None:
    alerts = Alerts(Sender(client, None), Rates(client), FailedVerifies(client))
    for _ in range(21):
        alerts.count(GUARD_REFUSAL)
    assert not list(database.scan_iter())
    alerts.finish()
    assert database.exists("otp:alert:guard.refusals")


def test_the_service_counts_right_and_wrong_pins_in_redis(
    settings: dict[str, str], database: redis.Redis, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": sandbox.url}) as service:
        service.send(phone)
        pin = sandbox.pin(phone)
        assert [service.verify(phone, p).status_code for p in (other_pin(pin), other_pin(pin), pin)] == [401, 401, 200]
        until(lambda: counted(database) == {RIGHT: 1, WRONG: 2})


def test_the_service_counts_refusals_of_the_guard_and_locked_out_guesses(
    settings: dict[str, str], database: redis.Redis, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    strict = {"FRAUD_GUARD": "block", "GUARD_ADDRESS_COUNTRIES": "1", "PHONE_FAILURE_LIMIT": "1 per day"}
    with Service.started(tmp_path, {**settings, **strict, "INFOBIP_BASE_URL": sandbox.url}) as service:
        service.send(phone)
        pin = sandbox.pin(phone)
        assert [service.verify(phone, p).status_code for p in (other_pin(pin), other_pin(pin))] == [401, 401]
        until(lambda: counted(database) == {WRONG: 1, LOCKED_OUT: 1})
        assert service.send("+33612345678").status_code == 429
        until(lambda: counted(database) == {WRONG: 1, LOCKED_OUT: 1, GUARD_REFUSAL: 1})


def sentences_after(failed_verifies: FailedVerifies, *names: tuple[str, int], kind: Any = "recipient") -> list[str]:
    """Return the sentences of the alerts after this number of failures for each name."""
    for name, times in names:
        for _ in range(times):
            failed_verifies.count(kind, name, f"+49***{name}")
    return [alert.sentence for alert in failed_verifies.flush()]


def test_an_alert_after_over_20_failed_verifies_at_one_recipient_in_an_hour(client: RedisClient) -> None:
    clock = Clock()
    workers = [FailedVerifies(client, clock), FailedVerifies(client, clock)]
    assert sentences_after(workers[0], ("10", 20), ("11", 20), ("12", 5)) == []
    assert sentences_after(workers[1], ("12", 15), ("11", 1)) == [
        "21 verifies at +49***11 failed within an hour: somebody may be guessing."
    ]
    assert sentences_after(workers[0], ("10", 9), ("11", 1)) == [
        "29 verifies at +49***10 failed within an hour: somebody may be guessing."
    ], "the worst one"
    clock.now += 3600
    assert sentences_after(workers[1], ("10", 20)) == []


def test_an_alert_after_over_60_failed_verifies_from_one_address_in_an_hour(client: RedisClient) -> None:
    failed_verifies = FailedVerifies(client, Clock())
    assert sentences_after(failed_verifies, ("1", 60), ("2", 60), kind="address") == []
    assert sentences_after(failed_verifies, ("2", 1), kind="address") == [
        "61 verifies from +49***2 failed within an hour: somebody may be guessing."
    ]


def test_the_stored_names_of_failed_verifies_are_bounded(client: RedisClient, database: redis.Redis) -> None:
    failed_verifies = FailedVerifies(client, Clock())
    for block in range(12):
        assert sentences_after(failed_verifies, *[(f"{block}-{n}", 1) for n in range(1001)]) == []
    (key,) = database.scan_iter("otp:failed-verifies:*")
    assert database.hlen(key) == MOST_NAMES_IN_REDIS
    assert 7190 < database.ttl(key) <= 7200
    assert sentences_after(failed_verifies, ("0-1", MOST["recipient"])) != [], "what is known is still counted"


def test_the_service_counts_failed_verifies_by_recipient_and_by_address(
    settings: dict[str, str], database: redis.Redis, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    settings |= {"TRUSTED_PROXIES": "1", "LOG_SALT": "a-salt-for-this-test", "VERIFY_OTP_LIMIT": "100 per minute"}
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": sandbox.url}) as service:
        for n in range(24):
            headers = {"X-Forwarded-For": "192.0.2.77" if n < 3 else "2001:db8:1:2:3::4"}
            assert service.verify(phone, "000000", headers=headers).status_code == 401

        def counts() -> list[int]:
            keys = database.scan_iter("otp:failed-verifies:*")
            return sorted(int(count) for key in keys for count in database.hvals(key))

        until(lambda: counts() == [3, 21, 24])
        until(lambda: database.exists("otp:alert:verifies.recipient"))
    assert not [
        name for key in database.scan_iter("otp:failed-verifies:*") for name in database.hkeys(key) if "192" in name
    ]


def test_a_worker_that_stops_writes_its_counts_to_redis(
    settings: dict[str, str], database: redis.Redis, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    with Service.started(tmp_path, {**settings, "INFOBIP_BASE_URL": sandbox.url}) as service:
        service.send(phone)
        service.verify(phone, sandbox.pin(phone))
    assert counted(database) == {RIGHT: 1}


def counted(database: redis.Redis) -> dict[str, int]:
    total: Counter[str] = Counter()
    for key in database.scan_iter("otp:counts:*"):
        total.update({str(name): int(count) for name, count in database.hgetall(key).items()})
    return total
