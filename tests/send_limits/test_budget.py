"""The budgets limit what all SMS of a day and of a month may cost."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import redis

from config import Settings
from otp.alerts.messages import budget_threshold, format_amount
from otp.errors import BudgetExhausted
from otp.phone_numbers import PhoneBook
from otp.recipients import Recipient
from otp.redis.client import RedisClient, connect
from otp.send_limits.budget import AFTERWARDS, Budget, Period, day, month
from otp.send_limits.chain import SendLimits
from otp.send_limits.prices import MILLION, PriceLists, Prices
from otp.send_request import SendRequest
from tests.support.round_trips import round_trips
from tests.support.running import ACCOUNT, ROOT, Sandbox, Service, refusal
from tests.support.upstream import Upstream, error, silence

EXHAUSTED = (503, "budget_exhausted")
PRICES = {"currency": "EUR", "default": 0.08, "US": 0.0075, "DE": 0.075}
TENTH = Prices("EUR", MILLION // 10, {})
Start = Callable[..., Service]


@pytest.fixture
def costly(start: Start, database: redis.Redis, sandbox: Sandbox) -> Callable[..., Service]:
    """A function that starts the service with prices and the given budgets."""

    def costly(**budgets: str) -> Service:
        prices = json.dumps(PRICES)
        return start(sandbox.url, SMS_PRICES=prices, **budgets)

    return costly


def numbers() -> Iterator[str]:
    return (f"+49158{n}" for n in range(10000000, 20000000))


def spent(database: redis.Redis, key: str) -> int:
    return int(database.hget(key, "spent") or 0)


def today() -> str:
    return f"otp:spent:{datetime.now(UTC):%Y-%m-%d}"


def this_month() -> str:
    return f"otp:spent:{datetime.now(UTC):%Y-%m}"


def retry_after_ends_at(retry_after: str, end: float) -> bool:
    """Return whether a Retry-After that was just received ends at `end`, give or take 30 seconds."""
    return abs(time.time() + int(retry_after) - end) < 30


def test_a_send_above_the_daily_budget_is_refused(
    costly: Callable[..., Service], database: redis.Redis, sandbox: Sandbox
) -> None:
    service, phones = costly(DAILY_BUDGET="0.3"), numbers()
    assert [service.send(next(phones)).status_code for _ in range(4)] == [200] * 4
    assert spent(database, today()) == 300_000
    refused = service.send(next(phones))
    assert refusal(refused) == EXHAUSTED
    assert retry_after_ends_at(refused.headers["Retry-After"], day(time.time()).end)
    assert len(sandbox.messages) == 4


def test_a_text_of_two_sms_costs_two(costly: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> None:
    service, phones = costly(DAILY_BUDGET="0.3", SMS_SEGMENTS="2"), numbers()
    assert [service.send(next(phones)).status_code for _ in range(3)] == [200, 200, 503]
    assert spent(database, today()) == 300_000
    assert len(sandbox.messages) == 2


def test_a_verify_costs_nothing(costly: Callable[..., Service], sandbox: Sandbox, phone: str) -> None:
    service = costly(DAILY_BUDGET="0.075")
    service.send(phone)
    assert refusal(service.send("+14155552671")) == EXHAUSTED
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_racing_sends_never_exceed_the_budgets(
    costly: Callable[..., Service], database: redis.Redis, sandbox: Sandbox
) -> None:
    service, phones = costly(DAILY_BUDGET="1", MONTHLY_BUDGET="5"), numbers()
    with ThreadPoolExecutor(30) as crowd:
        statuses = Counter(r.status_code for r in crowd.map(service.send, [next(phones) for _ in range(60)]))
    assert statuses == {200: 13, 503: 47}
    assert len(sandbox.messages) == 13
    assert spent(database, today()) == spent(database, this_month()) == 975_000


def test_a_send_above_the_monthly_budget_is_not_charged_to_the_day(
    costly: Callable[..., Service], database: redis.Redis, sandbox: Sandbox
) -> None:
    service, phones = costly(DAILY_BUDGET="0.075", MONTHLY_BUDGET="0.1"), numbers()
    assert service.send(next(phones)).status_code == 200
    database.delete(today())
    refused = service.send(next(phones))
    assert refusal(refused) == EXHAUSTED
    assert retry_after_ends_at(refused.headers["Retry-After"], month(time.time()).end)
    assert (spent(database, today()), spent(database, this_month())) == (0, 75_000)


def test_retry_after_is_the_later_end_if_both_budgets_are_used_up(costly: Callable[..., Service]) -> None:
    service, phones = costly(DAILY_BUDGET="0.075", MONTHLY_BUDGET="0.075"), numbers()
    service.send(next(phones))
    assert retry_after_ends_at(service.send(next(phones)).headers["Retry-After"], month(time.time()).end)


def test_a_send_that_another_limit_refuses_costs_nothing(
    costly: Callable[..., Service], database: redis.Redis, phone: str
) -> None:
    service = costly(DAILY_BUDGET="1")
    statuses = [service.send(phone).status_code for _ in range(5)]
    assert statuses == [200, 429, 429, 429, 429]
    assert spent(database, today()) == 75_000


def test_a_failed_send_is_refunded_and_an_uncertain_one_is_not(
    start: Start, database: redis.Redis, upstream: Upstream
) -> None:
    settings = {"INFOBIP_TIMEOUT": "1s", "RESEND_COOLDOWN": "20s", "WEB_CONCURRENCY": "1"}
    service = start(upstream.url, SMS_PRICES=json.dumps(PRICES), DAILY_BUDGET="0.1", MONTHLY_BUDGET="0.1", **settings)
    phones = numbers()
    upstream.script.append(error(400, "BAD_REQUEST"))
    assert service.send(next(phones)).status_code == 502
    assert (spent(database, today()), spent(database, this_month())) == (0, 0)
    upstream.script.append(silence)
    assert service.send(next(phones)).status_code == 504
    assert (spent(database, today()), spent(database, this_month())) == (75_000, 75_000)
    assert refusal(service.send(next(phones))) == EXHAUSTED


@pytest.mark.parametrize(
    "plant",
    [lambda db, key: db.lpush(key, "x"), lambda db, key: db.hset(key, "spent", "x")],
    ids=["another type", "not a number"],
)
def test_a_budget_that_cannot_be_read_refuses_sends(
    costly: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, plant: Callable[[redis.Redis, str], None]
) -> None:
    plant(database, today())
    database.expire(today(), 60)
    assert refusal(costly(DAILY_BUDGET="0.3").send(next(numbers()))) == (503, "service_unavailable")
    assert not sandbox.messages


def test_budgets_add_no_round_trip(costly: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> None:
    service, phones = costly(DAILY_BUDGET="1000", MONTHLY_BUDGET="1000"), numbers()
    for _ in range(20):  # opens the connections
        service.send(next(phones))
    assert round_trips(database, lambda _: service.send(next(phones)), range(20)) <= 3


# The tests below move the clock.


class Clock:
    def __init__(self, at: str) -> None:
        self.now = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(database: redis.Redis, redis_url: str) -> Iterator[RedisClient]:
    with connect(redis_url) as client:
        yield client


Threshold = tuple[str, int, int]  # the period, percent, and the budget in millionths


def send_limits(
    client: RedisClient, amount: str, crossed: list[Threshold], period: Callable[[float], Period] = day
) -> SendLimits:
    prices = PriceLists({"sms": TENTH})
    budget = Budget(period, int(Decimal(amount) * MILLION), prices, lambda *threshold: crossed.append(threshold))
    return SendLimits(client, budget)


def test_a_daily_budget_allows_sends_again_on_the_next_day(client: RedisClient) -> None:
    clock = Clock("2026-11-23T23:59:58")
    limits = send_limits(client, "0.1", [])
    limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
    with pytest.raises(BudgetExhausted) as refused:
        limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
    assert refused.value.retry_after == 2
    clock.now += 2
    limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))


def test_a_monthly_budget_allows_sends_again_only_in_the_next_month(client: RedisClient) -> None:
    clock = Clock("2026-12-30T12:00:00")
    limits = send_limits(client, "0.1", [], month)
    limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
    clock.now += 24 * 3600
    with pytest.raises(BudgetExhausted) as refused:
        limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
    assert refused.value.retry_after == 12 * 3600
    clock.now += 12 * 3600
    limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))


@pytest.mark.parametrize(
    ("period", "at", "name", "end"),
    [
        (day, "2026-11-23T00:00:00", "2026-11-23", "2026-11-24T00:00:00"),
        (day, "2026-12-31T23:59:59", "2026-12-31", "2027-01-01T00:00:00"),
        (month, "2026-12-31T23:59:59", "2026-12", "2027-01-01T00:00:00"),
        (month, "2028-02-29T12:00:00", "2028-02", "2028-03-01T00:00:00"),
        (month, "2026-11-01T00:00:00", "2026-11", "2026-12-01T00:00:00"),
    ],
)
def test_periods(period: Callable[[float], Period], at: str, name: str, end: str) -> None:
    assert period(Clock(at).now)[1:] == (name, Clock(end).now)


def test_a_release_after_midnight_refunds_the_day_of_the_send(client: RedisClient, database: redis.Redis) -> None:
    clock = Clock("2026-11-23T23:59:59")
    limits, late = send_limits(client, "1", []), SendRequest(Recipient.at("+14155552671"), at=clock())
    limits.reserve(late)
    clock.now += 2
    limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
    limits.release(late)
    assert [spent(database, f"otp:spent:2026-11-{n}") for n in (23, 24)] == [0, 100_000]


def test_a_counter_expires_shortly_after_its_period(client: RedisClient, database: redis.Redis) -> None:
    send_limits(client, "1", []).reserve(SendRequest(Recipient.at("+14155552671"), at=Clock("2026-11-23T23:00:00")()))
    assert 3600 < database.ttl("otp:spent:2026-11-23") <= 3600 + AFTERWARDS


def test_each_threshold_is_reported_once_when_sends_race(client: RedisClient) -> None:
    crossed: list[Threshold] = []
    clock = Clock("2026-11-23T12:00:00")
    limits = send_limits(client, "2", crossed)
    with ThreadPoolExecutor(10) as crowd:
        list(crowd.map(limits.reserve, [SendRequest(Recipient.at("+14155552671"), at=clock()) for _ in range(20)]))
    assert sorted(crossed) == [("2026-11-23", percent, 2 * MILLION) for percent in (50, 80, 100)]
    alerts = [budget_threshold("EUR", *threshold) for threshold in crossed]
    assert {alert.type for alert in alerts} == {"budget.threshold"}
    assert len({alert.kind for alert in alerts}) == 3


def test_a_threshold_is_reached_exactly_and_not_before(client: RedisClient) -> None:
    crossed: list[Threshold] = []
    clock = Clock("2026-11-23T12:00:00")
    limits = send_limits(client, "1", crossed)
    seen = []
    for _ in range(10):
        limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
        seen.append([percent for _, percent, _ in crossed])
    assert seen == [[], [], [], [], [50], [50], [50], [50, 80], [50, 80], [50, 80, 100]]


def test_a_threshold_that_is_crossed_again_is_not_reported_again(client: RedisClient) -> None:
    crossed: list[Threshold] = []
    clock = Clock("2026-11-23T12:00:00")
    limits = send_limits(client, "0.4", crossed)
    for _ in range(3):
        send_requests = [
            SendRequest(Recipient.at("+14155552671"), at=clock()),
            SendRequest(Recipient.at("+14155552671"), at=clock()),
        ]
        for send_request in send_requests:
            limits.reserve(send_request)
        for send_request in send_requests:
            limits.release(send_request)
    assert [percent for _, percent, _ in crossed] == [50]


def test_a_budget_that_no_price_fills_exactly_is_used_up_at_the_first_refusal(client: RedisClient) -> None:
    crossed: list[Threshold] = []
    clock = Clock("2026-11-23T12:00:00")
    limits = send_limits(client, "0.15", crossed)
    limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
    for _ in range(3):
        with pytest.raises(BudgetExhausted):
            limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
    assert [percent for _, percent, _ in crossed] == [50, 100]
    sentence = budget_threshold("EUR", *crossed[1]).sentence
    assert sentence == "The budget for 2026-11-23 (0.15 EUR) is used up: what it cannot pay is not sent."


def test_a_new_period_reports_its_thresholds_again(client: RedisClient) -> None:
    crossed: list[Threshold] = []
    clock = Clock("2026-11-23T12:00:00")
    limits = send_limits(client, "0.2", crossed)
    for _ in range(2):
        limits.reserve(SendRequest(Recipient.at("+14155552671"), at=clock()))
        clock.now += 86400
    assert [budget_threshold("EUR", *each).subject for each in crossed] == ["2026-11-23:50", "2026-11-24:50"]


def test_the_region_of_a_number_sets_its_price() -> None:
    prices = Prices("EUR", 1, {"US": 2, "CA": 3, "DE": 4, "GG": 5})
    expected = {"+14155552671": 2, "+16135550123": 3, "+4915112345678": 4, "+447911123456": 5, "+385911234567": 1}
    assert {phone: prices.of(PhoneBook().read(phone).region) for phone in expected} == expected
    assert prices.of(PhoneBook().read("+883510000000094").region) == 1, "it is of no country"


def test_the_shipped_price_list_is_valid_and_marked_as_an_example() -> None:
    example = ROOT / "examples/sms-prices.json"
    given = {"infobip_base_url": "https://x", "redis_url": "redis://x:1", "sms_prices": str(example)}
    settings = Settings(**given, **{name.lower(): value for name, value in ACCOUNT.items()})
    assert settings.sms_prices
    assert (settings.sms_prices.currency, settings.sms_prices.by_region["DE"]) == ("EUR", 75_000)
    assert len(settings.sms_prices.by_region) >= 12
    assert "An example" in json.loads(example.read_text())["_comment"]


def test_a_price_is_exact() -> None:
    given = {"infobip_base_url": "https://x", "redis_url": "redis://x:1"}
    given |= {"sms_prices": '{"currency": "USD", "default": 0.000003, "us": "4.35"}', "daily_budget": "1.1"}
    settings = Settings(**given, **{name.lower(): value for name, value in ACCOUNT.items()})
    assert settings.sms_prices == Prices("USD", 3, {"US": 4_350_000})
    assert settings.budgets == (1_100_000, 0)


def test_a_call_without_a_price_of_its_own_costs_as_much_as_a_text() -> None:
    given = {"infobip_base_url": "https://x", "redis_url": "redis://x:1", "sms_segments": 2}
    given |= {name.lower(): value for name, value in ACCOUNT.items()}
    given["sms_prices"] = '{"currency": "EUR", "default": 1}'
    for calls, price in ({}, 2), ({"voice_prices": '{"currency": "EUR", "default": 5}'}, 5):
        prices = Settings(**given, **calls).prices
        assert [prices.of("sms", "DE"), prices.of("voice", "DE")] == [2 * MILLION, price * MILLION]


def test_amounts_are_formatted_as_people_write_them() -> None:
    amounts = {0: "0.00", 3: "0.000003", 80_000: "0.08", 75_000: "0.075", 12_500_000: "12.50", 10**15: "1000000000.00"}
    assert {millionths: format_amount(millionths) for millionths in amounts} == amounts
