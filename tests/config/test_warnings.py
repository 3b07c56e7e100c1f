"""Weak settings are allowed: each start logs one warning for each of them, and the service runs."""

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
def test_a_weak_value_has_one_warning_and_the_minimum_none(
    named: str, weak: dict[str, object], strong: dict[str, object]
) -> None:
    (sentence,) = Settings(**{**GIVEN, **weak}).warnings()
    assert sentence.startswith(f"{named} ")
    assert Settings(**{**GIVEN, **strong}).warnings() == []


def test_the_defaults_are_strong_except_for_keys_and_money() -> None:
    needed = {"infobip_base_url", "redis_url", *(name.lower() for name in ACCOUNT)}
    sentences = Settings(**{name: value for name, value in GIVEN.items() if name in needed}).warnings()
    assert [sentence.split()[0] for sentence in sentences] == [
        "API_KEYS",
        "ALLOWED_COUNTRIES",
        "DAILY_BUDGET",
        "VOICE_PRICES",
    ]


def test_no_warning_concerns_money_if_only_e_mails_are_sent() -> None:
    mails = {"allowed_channels": "email", "infobip_2fa_email_msg_id": "MAIL", "fraud_guard": "off"}
    assert Settings(**{**GIVEN, **mails, "allowed_countries": "", "daily_budget": "0"}).warnings() == []


@pytest.mark.parametrize("given", [{}, {"FRAUD_GUARD": "off"}])
def test_check_warns_of_unlimited_costs(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis, given: dict[str, str]
) -> None:
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=redis_url, **ACCOUNT)
    status, output = command.run("check", **given)
    assert status > 0
    for name in ("ALLOWED_COUNTRIES is not set", "DAILY_BUDGET and MONTHLY_BUDGET are not set", "FRAUD_GUARD is off"):
        assert output.count(f"warning  settings             {name}") == (name[:5] != "FRAUD" or bool(given))


def test_a_start_and_a_reload_warn_of_weak_settings(
    tmp_path: Path, database: redis.Redis, sandbox: Sandbox, redis_url: str, phone: str
) -> None:
    (tmp_path / ".env").write_text("PIN_LENGTH=4\nPIN_TIME_TO_LIVE=11m\n")
    sandbox.reset(pin_length=4)
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "API_KEYS": "shop:shop-key-0123456789"}
    settings |= {"ALLOWED_CHANNELS": "sms", "ALLOWED_COUNTRIES": "DE"}
    settings |= {"SMS_PRICES": '{"currency": "EUR", "default": 0.1}', "MONTHLY_BUDGET": "50", "FRAUD_GUARD": "block"}
    with Service.started(tmp_path, settings) as service:
        warned = warned_settings(service)
        assert warned() == ["PIN_LENGTH", "PIN_TIME_TO_LIVE"]
        headers = {"Authorization": "Bearer shop-key-0123456789"}
        assert service.send(phone, headers=headers).status_code == 200
        assert service.verify(phone, sandbox.pin(phone), headers=headers).status_code == 200
        (tmp_path / ".env").write_text("PIN_ATTEMPTS=11\n")
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: warned()[2:] == ["PIN_ATTEMPTS"])


def warned_settings(service: Service) -> Callable[[], list[str]]:
    """Return a function that returns the settings of which the service has warned until now."""
    return lambda: [line["event"].split()[0] for line in service.lines(logger="otp", level="warning")]
