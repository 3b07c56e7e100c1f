"""Settings: one message names everything that is wrong, and shows no secret."""

import json
import time
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from config import Settings, SettingsError, load_settings

GOOD = {
    "INFOBIP_BASE_URL": "xxxxx.api.infobip.com",
    "INFOBIP_API_KEY": "the-secret-key",
    "INFOBIP_2FA_APP_ID": "APP",
    "INFOBIP_2FA_MSG_ID": "MSG",
    "REDIS_URL": "redis://:the-secret-password@localhost:6379/0",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[None]:
    with chdir(tmp_path):
        yield


def load(**environ: str) -> Settings:
    return load_settings({**GOOD, **environ})


def test_the_defaults() -> None:
    settings = load()
    assert settings.infobip_base_url == "https://xxxxx.api.infobip.com"
    assert (settings.pin_time_to_live, settings.resend_cooldown, settings.infobip_timeout) == (600, 30, 10)
    assert (settings.pin_length, settings.pin_type, settings.pin_attempts, settings.port) == (6, "NUMERIC", 5, 3000)
    assert str(settings.send_otp_limit) == "5 per 15 minute"
    assert str(settings.verify_otp_limit) == "10 per 5 minute"
    assert list(map(str, settings.phone_send_limit)) == ["3 per 1 hour", "5 per 1 day"]
    assert settings.phone_send_share == Decimal("0.4")
    assert str(settings.total_send_limit) == str(settings.total_email_limit) == "10000 per 1 day"


def test_every_missing_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings({})
    assert all(f"{name}: is missing" in str(raised.value) for name in GOOD)


BAD = {
    "INFOBIP_BASE_URL": [
        "http://api.infobip.com",
        "ftp://x",
        "https://",
        "https://user:pw@x",
        "https://x?y",
        "https://x#y",
    ],
    "INFOBIP_API_KEY": ["the-secret key", "the-secret\nkey", "the-secret-ключ", "the-secret\x7f"],
    "INFOBIP_2FA_APP_ID": ["a/b", "a b", "a" * 65],
    "REDIS_URL": ["localhost:6379", "http://localhost", "redis://localhost:x", "redis+cluster://localhost"],
    "KEY_PREFIX": ["{otp}:", "otp}", "o tp:", "otp:\n", "otp*", "otp?", "[otp]", "ötp:", "o" * 65],
    "FRAUD_GUARD": ["on", "Block", "true"],
    "GUARD_GRACE": ["180", "59s", "31m"],
    "GUARD_COUNTRY_HOUR": ["0", "-1", "1.5", "many", "1000001"],
    "GUARD_COUNTRY_RATIO": ["-1", "nan", "inf", "much"],
    "GUARD_KNOWN": ["0s", "30"],
    "INFOBIP_TIMEOUT": ["10", "0s", "ten", "61s", "-1s", "1.5s", "1w", "1s\n"],
    "RESEND_COOLDOWN": ["10s", "1ms"],
    "PIN_TIME_TO_LIVE": ["0m", "1ms", ""],
    "PIN_LENGTH": ["0", "17", "six"],
    "PIN_TYPE": ["numeric", "DIGITS"],
    "PIN_CASE": ["UPPER", "mixed"],
    "PIN_ATTEMPTS": ["0", "-1"],
    "SEND_OTP_LIMIT": ["5", "five per day", "0 per day", "5 per eternity", "5 per minute, 20 per day"],
    "PHONE_SEND_LIMIT": ["5", "3 per hour, 0 per day", "3 per hour, many per day", "3 per hour 5 per day", ","],
    "PHONE_SEND_SHARE": ["0", "-0.1", "1.01", "half", "nan"],
    "TOTAL_SEND_LIMIT": ["none"],
    "TOTAL_EMAIL_LIMIT": ["none"],
    "SMS_PRICES": [
        "{",
        "no/such/file",
        '{"currency": "EUR"}',
        '{"default": 1}',
        '{"currency": "euro", "default": 1}',
        '{"currency": "EUR", "default": -1}',
        '{"currency": "EUR", "default": NaN}',
        '{"currency": "EUR", "default": 0.0000001}',
        '{"currency": "EUR", "default": 1, "XX": 1}',
    ],
    "INFOBIP_TEMPLATES": [
        "{",
        "[]",
        "no/such/file",
        '{"sms": "MSG"}',
        '{"sms": {"de": 1}}',
        '{"sms": {"de": "a/b"}}',
        '{"fax": {"de": "MSG"}}',
        '{"sms": {"de_DE": "MSG"}}',
        '{"voice": {"german": "MSG"}}',
        '{"email": {"": "MSG"}}',
        '{"sms": {"payment/de": "MSG"}}',
        '{"sms": {"payment/*": "MSG", "login/de": "MSG"}}',
        '{"sms": {"Payment/*": "MSG"}}',
        '{"sms": {"a/b/*": "MSG"}}',
        '{"sms": {"/*": "MSG"}}',
        '{"sms": {"*": "MSG"}}',
    ],
    "WEBOTP_DOMAIN": ["https://example.com", "example", "example.com/", "exa mple.com", "a..b", "-a.com", "1.2.3.4"],
    "ANDROID_APP_HASH": ["FA+9qCX9VS", "FA+9qCX9VSuu", "FA+9qCX9VS="],
    "SMS_SEGMENTS": ["0", "11", "two"],
    "DAILY_BUDGET": ["-1", "ten", "NaN", "Infinity", "0.0000001"],
    "MONTHLY_BUDGET": ["-1", "100"],  # the last one, because there are no prices
    "ALERT_WEBHOOK_SECRET": [
        "the-secret",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_!",
        "d2hpdGhvdXQgaXRzIHByZWZpeCBpdCBpcyBub25l",
    ],
    "ALERT_WEBHOOK_URL": ["http://example.com", "ftp://x", "https://", "https://user:pw@x", "https://x#y", "https://x"],
    "CHALLENGE": ["captcha", "Turnstile", "hcaptcha"],  # the last one, because there is no secret
    "CHALLENGE_HOSTNAMES": ["https://example.com", "example.com:443", "-x", "*.example.com", ","],
    "CHALLENGE_URL": ["https://example.com", "http://example.com", "http://u:p@127.0.0.1", "127.0.0.1", "http://"],
    "DELIVERY_REPORTS_SECRET": ["the-secret", "the-secret-is/no-path", "the-secret-" * 30, "das-geheimnis-äöü"],
    "TRACK_DELIVERY": ["maybe", "true"],  # the last one, because there is no secret
    "TEST_NUMBERS_UNTIL": ["tomorrow", "2026-02-30", "20260201", "2026-W05-1", "9999-12-31"],
    "TEST_NUMBERS": ["{", "no/such/file", '{"+14155550199": "493826"}'],  # the last one, because there is no date
    "NUMBER_LOOKUP": ["true", "yes"],
    "LOOKUP_PRICE": ["-1", "much", "0.0000001", "0.01"],  # the last one, because there are no prices
    "DEFAULT_REGION": ["XX", "USA"],
    "ALLOWED_COUNTRIES": ["US,XX", ",", ", ,"],
    "ALLOWED_CHANNELS": ["pigeon", "sms,pigeon", "SMS"],
    "ALLOWED_PLACEHOLDERS": ["pin", "first name", "{x}"],
    "SEND_AGAIN": ["old"],
    "SENDERS": [
        "Shop",
        '{"XX": "Shop"}',
        '{"US": 12065550100}',
        '{"US": "ab"}',
        '{"US": "A sender too long"}',
        '{"US": "Ümit"}',
    ],
    "TRUSTED_PROXIES": ["-1", "all", "1+", "9+2"],
    "BIND": ["localhost", "*", "[::]", "0.0.0.0:3000", "fe80::1%eth0", "256.0.0.1", "example.com"],
    "PORT": ["0", "65536", "http"],
    "DOCS": ["true", "ON", "public"],
    "LOG_LEVEL": ["LOUD"],
    "LOG_FORMAT": ["text", "JSON"],
    "LOG_SALT": ["the-secret-salt"],
    "METRICS_PORT": ["-1", "65536", "none"],
    "WEB_CONCURRENCY": ["0"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values if v])
def test_a_bad_value_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"(?m)^  {name}: ") as raised:
        load(**{name: value})
    assert str(raised.value).count("\n") == 2
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("GUARD_GRACE", "1s", "must be at least 60s"),
        ("GUARD_GRACE", "31m", "must be at most 1800s"),
        ("GUARD_KNOWN", "59999ms", "must be at least 60s"),
        ("PIN_TIME_TO_LIVE", "999ms", "must be at least 1s"),
        ("INFOBIP_TIMEOUT", "2m", "must be at most 60s"),
        ("RESEND_BACKOFF", "30s,1x", "must be a duration like 30s, 10m or 1d"),
        ("PIN_LENGTH", "17", "Input should be less than or equal to 16"),
    ],
)
def test_a_bound_of_a_duration_has_its_unit(name: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(**{name: value})
    assert raised.value.reasons == [f"{name}: {reason}"]


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        *(
            (number, "493826", "must be of whole phone numbers")
            for number in ("4155550199", "+1 415 555 0199", "+1415")
        ),
        ("a@example.com", "493826", "must be of whole phone numbers"),
        ("+14155550199", 493826, "must have a code in quotes"),
        *(("+14155550199", code, "easy to guess") for code in ("123456", "000000", "111111", "654321", "121212")),
        *(("+14155550199", code, "easy to guess") for code in ("112233", "123123", "493817")),
        *(("+14155550199", code, "is not of PIN_LENGTH") for code in ("4938171", "49381", "49381a", "٤٩٣٨١٧")),
    ],
)
def test_test_numbers_must_be_whole_and_their_codes_hard_to_guess(number: str, code: object, reason: str) -> None:
    until = f"{datetime.now(UTC).date()}"
    with pytest.raises(SettingsError, match=f"(?m)^  TEST_NUMBERS: .*{reason}") as raised:
        load(TEST_NUMBERS=json.dumps({number: code}), TEST_NUMBERS_UNTIL=until)
    assert str(code) not in str(raised.value)


def test_a_test_number_in_two_spellings_is_refused() -> None:
    codes = json.dumps({"+541123456789": "493826", "+5491123456789": "826493"})
    with pytest.raises(SettingsError, match=r"TEST_NUMBERS: .*one number twice"):
        load(TEST_NUMBERS=codes, TEST_NUMBERS_UNTIL=f"{datetime.now(UTC).date()}")


def test_a_file_of_test_numbers_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "numbers.json"
    file.write_text('{"+14155550199": "493826"}')
    settings = load(TEST_NUMBERS=str(file), TEST_NUMBERS_UNTIL=f"{datetime.now(UTC).date()}")
    file.unlink()
    assert settings.fixed_codes == {"+14155550199": "493826"}


def test_test_numbers_last_90_days_at_most(tmp_path: Path) -> None:
    (tmp_path / "numbers.json").write_text('{"+541123456789": "abCD12"}')
    given = {"PIN_TYPE": "ALPHANUMERIC", "TEST_NUMBERS": "numbers.json"}
    today = datetime.now(UTC).date()
    settings = load(**given, TEST_NUMBERS_UNTIL=f"{today + timedelta(days=90)}")
    assert settings.fixed_codes == {"+5491123456789": "abCD12"}
    assert settings.for_log()["TEST_NUMBERS"] == "set"
    assert not load(**given, TEST_NUMBERS_UNTIL="2020-01-01").fixed_codes_end > time.time()
    with pytest.raises(SettingsError, match="TEST_NUMBERS_UNTIL: must be at most 90 days ahead"):
        load(**given, TEST_NUMBERS_UNTIL=f"{today + timedelta(days=92)}")


def test_a_lookup_needs_a_price_if_sms_have_one() -> None:
    priced = {"SMS_PRICES": '{"currency": "EUR", "default": 0.1, "US": 0.02}', "SMS_SEGMENTS": "2"}
    with pytest.raises(SettingsError, match="NUMBER_LOOKUP: needs LOOKUP_PRICE"):
        load(**priced, NUMBER_LOOKUP="on")
    assert load(NUMBER_LOOKUP="on").prices.of("sms", "US") == 0
    assert load(**priced, NUMBER_LOOKUP="on", LOOKUP_PRICE="0").prices.of("sms", "US") == 40_000
    prices = load(**priced, NUMBER_LOOKUP="on", LOOKUP_PRICE="0.004").prices
    assert [prices.of(channel, "US") for channel in ("sms", "voice")] == [44_000, 40_000]
    assert load(**priced, LOOKUP_PRICE="0.004").prices.of("sms", "US") == 40_000, "off, it costs nothing"


def test_all_bad_values_are_named_together() -> None:
    with pytest.raises(SettingsError) as raised:
        load(**{name: values[0] for name, values in BAD.items()})
    assert all(f"  {name}: " in str(raised.value) for name in BAD if name != "RESEND_COOLDOWN")


def test_templates_of_other_languages_are_read() -> None:
    templates = {"sms": {"de": "A-1", "pt-BR": "B_2"}, "email": {}}
    Path("templates.json").write_text(json.dumps(templates))
    for given in (json.dumps(templates), "templates.json"):
        assert load(INFOBIP_TEMPLATES=given).infobip_templates == templates
    with pytest.raises(SettingsError, match="INFOBIP_TEMPLATES: 'de_DE' is not a language tag of BCP 47 like de or"):
        load(INFOBIP_TEMPLATES='{"sms": {"de_DE": "A"}}')


def test_an_sms_has_one_last_line() -> None:
    assert load(WEBOTP_DOMAIN="App.Example.COM").webotp_domain == "app.example.com"
    with pytest.raises(SettingsError, match="ANDROID_APP_HASH: cannot be set together with WEBOTP_DOMAIN"):
        load(WEBOTP_DOMAIN="App.Example.COM", ANDROID_APP_HASH="FA+9qCX9VSu")
    assert load(ANDROID_APP_HASH="FA+9qCX9VSu").android_app_hash == "FA+9qCX9VSu"


def test_the_cooldown_must_be_longer_than_the_timeout() -> None:
    """This holds even if only one of the two is set."""
    with pytest.raises(SettingsError, match="RESEND_COOLDOWN: must be longer than INFOBIP_TIMEOUT"):
        load(INFOBIP_TIMEOUT="30s")
    assert load(INFOBIP_TIMEOUT="30s", RESEND_COOLDOWN="30001ms").resend_cooldown == 30.001


@pytest.mark.parametrize(
    "url",
    ["x..api.infobip.com", "a" * 64 + ".com", "x.api.infobip.com:99999", "x:0", "x:", "x:abc", "https:/x", "https:x",
     "http//x", "https://https://x", "ex ample.com", "x\\y", "https://x\n", "https://x/p q", "https://x/ü", "*", "a,b",
     "https://x%41", "https://", "ftp://x", "https://x?a", "https://x#a", "https://x@y",
     "https://x/a?b", "https://x/a#b", "https://x/a@b", "HTTPS://x"],
)  # fmt: skip
def test_an_invalid_base_url_is_refused(url: str) -> None:
    """Otherwise each send would fail, or the API key would go to a host named `https`."""
    with pytest.raises(SettingsError, match="INFOBIP_BASE_URL: must be a host or a URL like https://"):
        load(INFOBIP_BASE_URL=url)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("xxxxx.api.infobip.com/", "https://xxxxx.api.infobip.com"),
        ("https://XXXXX.api.infobip.com.:443", "https://XXXXX.api.infobip.com.:443"),
        ("https://gate_way:8443/infobip/v1/", "https://gate_way:8443/infobip/v1"),
        ("https://bücher.example", "https://bücher.example"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
    ],
)
def test_a_valid_base_url_is_accepted(url: str, read: str) -> None:
    assert load(INFOBIP_BASE_URL=url).infobip_base_url == read


@pytest.mark.parametrize("url", ["http://localhost:3001", "http://127.0.0.1:3001", "http://[::1]:3001"])
def test_plain_http_to_this_machine_is_allowed(url: str) -> None:
    assert load(INFOBIP_BASE_URL=f"{url}/").infobip_base_url == url


def test_plain_http_to_another_host_needs_a_setting() -> None:
    url = "http://sandbox:3001"
    with pytest.raises(SettingsError, match="INFOBIP_ALLOW_HTTP"):
        load(INFOBIP_BASE_URL=url)
    assert load(INFOBIP_BASE_URL=url, INFOBIP_ALLOW_HTTP="true").infobip_base_url == url


def test_a_dotenv_file_is_read_and_the_environment_overrides_it() -> None:
    Path(".env").write_text("PORT=4000\nPIN_LENGTH=4  # four\nINFOBIP_API_KEY='other'\nUNKNOWN=1\nPIN_TYPE=\n")
    settings = load(PORT="5000")
    assert (settings.port, settings.pin_length, settings.pin_type) == (5000, 4, "NUMERIC")
    assert settings.infobip_api_key.get_secret_value() == "the-secret-key"


@pytest.mark.parametrize("lines", ["PORT=1\nport=2\n", "port=2\nPORT=1\n", "Port=2\n"])
def test_the_environment_overrides_it_in_any_case_of_a_name(lines: str) -> None:
    Path(".env").write_text(lines)
    assert load(PORT="3").port == 3
    assert load(port="3").port == 3


def test_a_byte_order_mark_hides_no_setting() -> None:
    Path(".env").write_text("\ufeffPIN_LENGTH=4\n")
    assert load().pin_length == 4


def test_a_secret_may_be_in_a_file() -> None:
    given = {**GOOD, "INFOBIP_API_KEY": "", "REDIS_URL": "", "INFOBIP_API_KEY_FILE": "key"}
    Path("key").write_text("\ufefffrom-a-file\r\n")
    Path("url").write_text("unix:///run/redis.sock")
    Path(".env").write_text("REDIS_URL_FILE=url\n")
    assert load_settings(given).infobip_api_key.get_secret_value() == "from-a-file"
    assert load_settings(given).redis_url.get_secret_value() == "unix:///run/redis.sock"
    Path("key").write_text("\n")
    with pytest.raises(SettingsError, match="INFOBIP_API_KEY: is not set, and the file that INFOBIP_API_KEY_FILE"):
        load_settings(given)
    with pytest.raises(SettingsError, match="LOG_SALT: is not set, and the file that LOG_SALT_FILE names is empty"):
        load_settings({**GOOD, "LOG_SALT_FILE": "key"})
    Path("key").unlink()
    with pytest.raises(SettingsError, match="INFOBIP_API_KEY: is a file that cannot be read"):
        load_settings(given)
    with pytest.raises(SettingsError) as raised:
        load_settings({**given, "INFOBIP_API_KEY_FILE": "the-key-itself-7391"})
    assert "7391" not in str(raised.value)


def test_secrets_are_hidden_and_settings_frozen() -> None:
    settings = load()
    assert "the-secret" not in repr(settings) + str(settings) + str(settings.model_dump())
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_delivery_reports_need_a_secret() -> None:
    with pytest.raises(SettingsError, match="TRACK_DELIVERY: needs DELIVERY_REPORTS_SECRET"):
        load(TRACK_DELIVERY="true")
    given = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET_FILE": "secret"}
    Path("secret").write_text("0123456789abcde")
    with pytest.raises(SettingsError, match="DELIVERY_REPORTS_SECRET: must be 16 to 256 letters"):
        load(**given)
    Path("secret").write_text("0123456789abcdef\n")
    assert load(**given).track_delivery
    assert "0123456789abcdef" not in repr(load(**given))


def test_regions_may_be_in_lower_case() -> None:
    settings = load(DEFAULT_REGION="de", ALLOWED_COUNTRIES="us, DE,")
    assert (settings.default_region, settings.allowed_countries) == ("DE", frozenset({"US", "DE"}))


@pytest.mark.parametrize(
    ("pin_type", "right", "wrong"),
    [
        ("NUMERIC", "012345", "01234a"),
        ("ALPHA", "abcDEF", "abcDE1"),
        ("HEX", "01abEF", "01abEG"),
        ("ALPHANUMERIC", "0zZ9aA", "0zZ9a-"),
    ],
)
def test_the_pattern_of_a_pin(pin_type: str, right: str, wrong: str) -> None:
    pattern = load(PIN_TYPE=pin_type).pin_pattern
    assert pattern.fullmatch(right)
    assert not pattern.fullmatch(wrong)
    assert not pattern.fullmatch(right + "\n")


def test_lists_are_read_from_the_environment() -> None:
    settings = load(RESEND_BACKOFF="20s, 5m", ALLOWED_PLACEHOLDERS="firstName, shop", ALLOWED_COUNTRIES="DE,AT")
    assert settings.cooldowns == (20, 300)
    assert settings.allowed_placeholders == {"firstName", "shop"}
    assert settings.allowed_countries == {"DE", "AT"}
