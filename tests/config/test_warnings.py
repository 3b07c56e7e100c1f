"""Settings that are allowed and weak: each start says so, in one line for each, and serves."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from config import Settings
from tests.support.command import CommandLine, eventually
from tests.support.running import ACCOUNT, Sandbox, Service

GIVEN = {
    "infobip_base_url": "x.api.infobip.com",
    "redis_url": "redis://localhost",
    "api_keys": "shop:shop-key-0123456789",
    "pin_case": "upper",
    "allowed_channels": "sms",
    "allowed_countries": "DE",
    "sms_prices": '{"currency": "EUR", "default": 0.1}',
    "daily_budget": "50",
    **{name.lower(): value for name, value in ACCOUNT.items()},
}


@pytest.mark.parametrize(
    ("named", "weak", "strong"),
    [
        ("PIN_LENGTH", {"pin_length": 5}, {"pin_length": 6}),
        ("PIN_LENGTH", {"pin_type": "ALPHA", "pin_length": 4}, {"pin_type": "ALPHA", "pin_length": 5}),
        ("PIN_LENGTH", {"pin_type": "HEX", "pin_length": 4}, {"pin_type": "HEX", "pin_length": 5}),
        ("PIN_LENGTH", {"pin_type": "ALPHANUMERIC", "pin_length": 3}, {"pin_type": "ALPHANUMERIC", "pin_length": 4}),
        ("PIN_TIME_TO_LIVE", {"pin_time_to_live": "601s"}, {"pin_time_to_live": "10m"}),
        ("PIN_ATTEMPTS", {"pin_attempts": 11}, {"pin_attempts": 10}),
        ("VOICE_PRICES", {"allowed_channels": "sms, voice"}, {"allowed_channels": "sms"}),
        ("ALLOWED_COUNTRIES", {"allowed_countries": ""}, {"allowed_countries": "US"}),
        ("DAILY_BUDGET", {"daily_budget": "0"}, {"daily_budget": "0", "monthly_budget": "0.000001"}),
        ("FRAUD_GUARD", {"fraud_guard": "off"}, {"fraud_guard": "block"}),
        ("FRAUD_GUARD", {"fraud_guard": "monitor"}, {"fraud_guard": "block"}),
        ("PIN_CASE", {"pin_type": "HEX", "pin_case": None}, {"pin_type": "HEX", "pin_case": "as-typed"}),
    ],
)
def test_one_sentence_below_each_floor_and_none_on_it(
    named: str, weak: dict[str, object], strong: dict[str, object]
) -> None:
    (sentence,) = Settings(**{**GIVEN, **weak}).warnings()
    assert sentence.startswith(f"{named} ")
    assert Settings(**{**GIVEN, **strong}).warnings() == []


def test_the_defaults_are_strong_but_for_keys_and_money() -> None:
    needed = {"infobip_base_url", "redis_url", *(name.lower() for name in ACCOUNT)}
    said = Settings(**{name: value for name, value in GIVEN.items() if name in needed}).warnings()
    assert [sentence.split()[0] for sentence in said] == [
        "API_KEYS",
        "ALLOWED_COUNTRIES",
        "DAILY_BUDGET",
        "VOICE_PRICES",
    ]


def test_where_only_mails_are_sent_no_money_is_open() -> None:
    mails = {"allowed_channels": "email", "infobip_2fa_email_msg_id": "MAIL", "fraud_guard": "off"}
    assert Settings(**{**GIVEN, **mails, "allowed_countries": "", "daily_budget": "0"}).warnings() == []


@pytest.mark.parametrize("given", [{}, {"FRAUD_GUARD": "off"}])
def test_a_check_says_what_is_open_in_money(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis, given: dict[str, str]
) -> None:
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=redis_url, **ACCOUNT)
    status, said = command.run("check", **given)
    assert status > 0
    for name in ("ALLOWED_COUNTRIES is not set", "DAILY_BUDGET and MONTHLY_BUDGET are not set", "FRAUD_GUARD is off"):
        assert said.count(f"warning  settings             {name}") == (name[:5] != "FRAUD" or bool(given))


def test_a_start_and_a_reload_say_what_is_weak(
    tmp_path: Path, database: redis.Redis, sandbox: Sandbox, redis_url: str, phone: str
) -> None:
    (tmp_path / ".env").write_text("PIN_LENGTH=4\nPIN_TIME_TO_LIVE=11m\n")
    sandbox.reset(pin_length=4)
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "API_KEYS": "shop:shop-key-0123456789"}
    settings |= {"ALLOWED_CHANNELS": "sms", "ALLOWED_COUNTRIES": "DE"}
    settings |= {"SMS_PRICES": '{"currency": "EUR", "default": 0.1}', "MONTHLY_BUDGET": "50", "FRAUD_GUARD": "block"}
    with Service.started(tmp_path, settings) as service:
        said = said_by(service)
        assert said() == ["PIN_LENGTH", "PIN_TIME_TO_LIVE"]
        headers = {"Authorization": "Bearer shop-key-0123456789"}
        assert service.send(phone, headers=headers).status_code == 200
        assert service.verify(phone, sandbox.pin(phone), headers=headers).status_code == 200
        (tmp_path / ".env").write_text("PIN_ATTEMPTS=11\n")
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: said()[2:] == ["PIN_ATTEMPTS"])


def said_by(service: Service) -> Callable[[], list[str]]:
    """Which settings it has warned of until now."""
    return lambda: [line["event"].split()[0] for line in service.lines(logger="otp", level="warning")]
