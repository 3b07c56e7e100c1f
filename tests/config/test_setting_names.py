"""A start and `flask infobip check` warn of settings that are ignored or misleading. They show no value."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path

import pytest
import redis

from config import SettingsError, load_settings
from tests.config.test_warnings import warned_settings
from tests.support.command import CommandLine, eventually
from tests.support.running import ACCOUNT, Sandbox, Service

GOOD = {"INFOBIP_BASE_URL": "x.api.infobip.com", "REDIS_URL": "redis://localhost", **ACCOUNT}
VALUE = "7391"


@pytest.fixture
def command(tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis) -> CommandLine:
    ids = {name: value for name, value in ACCOUNT.items() if name != "INFOBIP_API_KEY"}
    return CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=redis_url, **ids)


def check(command: CommandLine, env_file: str = "", **environment: str) -> str:
    """Return what `check` reports of the settings in this `.env` and this environment."""
    command.env_file.write_bytes(env_file.encode())
    output = command.run("check", **environment)[1]
    assert VALUE not in output
    return "\n".join(line for line in output.splitlines() if line[9:18] == "settings ")


def load(env_file: str, **environment: str) -> list[str]:
    """Return what is wrong with the settings in this `.env` and this environment."""
    Path(".env").write_bytes(env_file.encode())
    message, reasons = "", list[str]()
    try:
        load_settings({**GOOD, **environment})
    except SettingsError as e:
        message, reasons = str(e), e.reasons
    assert VALUE not in message
    return reasons


@pytest.fixture
def here(tmp_path: Path) -> Iterator[None]:
    with chdir(tmp_path):
        yield


NEARLY = {
    "DAILY_BUGDET": "DAILY_BUDGET",
    "BUDGET_DAILY": "DAILY_BUDGET",
    "DAILY-BUDGET": "DAILY_BUDGET",
    "OTP_DAILY_BUDGET": "DAILY_BUDGET",
    "MonthlyBudget": "MONTHLY_BUDGET",
    "PIN_LENGHT": "PIN_LENGTH",
    "ALLOWED_COUNTRY": "ALLOWED_COUNTRIES",
    "FRAUDGUARD": "FRAUD_GUARD",
    "TRUSTED_PROXY": "TRUSTED_PROXIES",
    "BNID": "BIND",
    "PORTT": "PORT",
    "INFBIP_API_KEY": "INFOBIP_API_KEY",
    "REDIS_URI": "REDIS_URL",
    "API_KEY": "API_KEYS",
    "INFOBIP_API_KEYFILE": "INFOBIP_API_KEY_FILE",
    "infobip_api_key_file": "INFOBIP_API_KEY_FILE",
}


@pytest.mark.parametrize("where", ["file", "environment"])
def test_a_misspelt_name_is_reported_with_the_right_one(command: CommandLine, where: str) -> None:
    given = dict.fromkeys(NEARLY, VALUE)
    written = "".join(f"{name}={value}\n" for name, value in given.items())
    output = check(command, written) if where == "file" else check(command, **given)
    for name, meant in NEARLY.items():
        assert f"{name} is not a setting and is ignored. Did you mean {meant}?" in output


def test_names_in_lower_case_and_files_of_other_settings_are_reported(command: CommandLine) -> None:
    for given in ({"env_file": f"port={VALUE}\nPIN_LENGTH_FILE={VALUE}"}, {"port": VALUE, "PIN_LENGTH_FILE": VALUE}):
        output = check(command, **given)
        assert "port is read as PORT. Write it in capitals." in output
        assert "PIN_LENGTH_FILE is ignored: only a secret can be a file. Set PIN_LENGTH." in output


OTHERS = {"PATH": "/bin", "HOSTNAME": "a", "LANG": "C", "COMPOSE_PROJECT_NAME": "x", "DOCKER_HOST": "x", "TZ": "UTC",
          "OTEL_SERVICE_NAME": "x", "GUNICORN_CMD_ARGS": "", "REDIS_PORT": "tcp://10.0.0.1:6379", "HTTPS_PROXY": "x",
          "REDIS_SERVICE_HOST": "10.0.0.1", "API_SERVICE_PORT": "3000", "SANDBOX_PIN": "123456", "DATABASE_URL": "x",
          "OTP_METRICS_PORT": "tcp://10.0.0.1:9090", "INFOBIP_PROXY_PORT": "tcp://10.0.0.1:3128", "BINDIR": "/usr/bin",
          "REDIS_TLS_URL": "x", "REDIS_USER": "x", "CF_API_KEY": "x", "API_KEY_ID": "x",
          "AWS_DEFAULT_REGION": "eu-central-1", "SENTRY_DSN": "x", "POD_NAME": "x", "PYTHON_VERSION": "3"}  # fmt: skip


def test_variables_of_other_programs_are_not_reported(command: CommandLine) -> None:
    assert "is ignored" not in check(command, **OTHERS)
    known = "COMPOSE_PROFILES=live\nREPLICAS=3\nDOCKER_DEFAULT_PLATFORM=linux/arm64\nSANDBOX_PIN=123456\n"
    known += "INFOBIP_API_KEY_FILE=\n"
    assert "is ignored" not in check(command, known)


def test_an_unknown_name_in_the_file_is_reported(command: CommandLine) -> None:
    output = check(command, f"\n# mine\nDATABASE_URL={VALUE}\n\n  favourite_colour={VALUE}\n")
    assert ".env, line 3: DATABASE_URL is not a setting and is ignored." in output
    assert ".env, line 5: favourite_colour is not a setting and is ignored." in output


def test_a_piece_of_a_secret_that_looks_like_a_name_is_not_shown(command: CommandLine) -> None:
    """All lines of a PEM without quotes, except the first, are read as names."""
    output = check(command, "PROOF_OLD_KEYS=-----BEGIN\nMC4CAQAwBQYDK2VwBCIEIA==\nd83ab17e0f==\n-----END=\n")
    assert output.count("A name is not a setting and is ignored.") == 3
    assert "MC4CAQ" not in output
    assert "d83ab17e0f" not in output


@pytest.mark.parametrize("key", ["A1B2C3D4E5F60718", "sk_a1b2c3d4e5f60718", "D83AB17E_0F9C4E21"])
def test_a_key_on_a_line_of_its_own_is_not_shown(command: CommandLine, key: str) -> None:
    output = check(command, f"LOG_SALT=\n{key}\nS3_BUCKET=a\nMY_2FA_HOST2=a\n")
    assert ".env, line 2: A name is not a setting" in output
    assert key not in output
    assert ".env, line 3: S3_BUCKET is not a setting" in output
    assert ".env, line 4: MY_2FA_HOST2 is not a setting" in output


def test_a_start_and_a_reload_each_warn_once(
    tmp_path: Path, database: redis.Redis, sandbox: Sandbox, redis_url: str, phone: str
) -> None:
    (tmp_path / ".env").write_text("DAILY_BUGDET=50\nMY_NOTE=1\n")
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "PIN_LENGHT": "8"}
    with Service.started(tmp_path, settings) as service:
        warned = warned_settings(service)
        expected = [".env, line 1: DAILY_BUGDET", ".env, line 2: MY_NOTE", "PIN_LENGHT"]
        assert names(service) == expected
        assert service.send(phone).status_code == 200
        (tmp_path / ".env").write_text("DAILY_BUDGTE=50\n")
        before = len(warned())
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(warned()) > before)
        assert names(service)[3:] == [".env, line 1: DAILY_BUDGTE", "PIN_LENGHT"]


def names(service: Service) -> list[str]:
    lines = service.lines(logger="otp", level="warning")
    return [line["event"].partition(" is not a setting")[0] for line in lines if "is not a setting" in line["event"]]


def test_a_start_that_fails_names_the_misspelt_setting(tmp_path: Path, sandbox: Sandbox) -> None:
    given: Mapping[str, str] = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URI": f"redis://:{VALUE}@localhost"}
    with pytest.raises(AssertionError) as raised, Service.started(tmp_path, given):
        pass
    assert "REDIS_URL: is missing" in str(raised.value)
    assert "REDIS_URI is not a setting and is ignored. Did you mean REDIS_URL?" in str(raised.value)
    assert VALUE not in str(raised.value)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'DAILY_BUDGET="{VALUE}', ".env, line 2: cannot be read"),
        (f"DAILY_BUDGET '{VALUE}'", ".env, line 2: cannot be read"),
        (f"DAILY BUDGET={VALUE}", ".env, line 2: cannot be read"),
        (f"PROOF_AUDIENCE=a${{x{VALUE}}}", "PROOF_AUDIENCE: .env, line 2 has ${...}"),
        (f"INFOBIP_API_KEY='a${{x{VALUE}}}b'", "INFOBIP_API_KEY: .env, line 2 has ${...}"),
        ("REDIS_URL=redis://${REDIS_HOST_NAME}\nREDIS_HOST_NAME=h", "REDIS_URL: .env, line 2 has ${...}"),
        (f"REDIS_URL_FILE=/${{x{VALUE}}}", "REDIS_URL_FILE: .env, line 2 has ${...}"),
    ],
)
def test_a_line_that_would_set_something_else_prevents_the_start(line: str, expected: str) -> None:
    """python-dotenv would ignore such a line or keep a part of it."""
    (message,) = load(f"\n{line}\n")
    assert message.startswith(expected)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "text",
    [
        "HOST=localhost\nREDIS_URL=redis://${HOST}",
        "REDIS_URL=redis://${WHERE:-localhost}",
        "REDIS_URL=redis://${INFOBIP_2FA_APP_ID}",
        "NOTE=${WHATEVER}",
        "PORT=4000 # ${WHATEVER}",
        "PORT='4000' # ${WHATEVER}",
        "\ufeffPORT=4000\r\nexport PIN_LENGTH = 4 # four\r\n\r\nPIN_TYPE=\r\n",
    ],
)
def test_an_unambiguous_line_is_accepted(text: str) -> None:
    assert load(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"PROOF_ISSUER=a$b{VALUE}", ".env, line 1: PROOF_ISSUER has a $"),
        (f'PROOF_ISSUER="a$$b{VALUE}"', ".env, line 1: PROOF_ISSUER has a $"),
        (f"PROOF_ISSUER=#{VALUE}", ".env, line 1: PROOF_ISSUER begins with #"),
        ("PROOF_ISSUER='${PATH}'", ".env, line 1: PROOF_ISSUER has ${...} in single quotes"),
        (r"PROOF_ISSUER='a\\b' # mine", ".env, line 1: PROOF_ISSUER has a \\ in quotes"),
        (r"""PROOF_ISSUER="it\'s" """, ".env, line 1: PROOF_ISSUER has a \\ in quotes"),
        (r'PROOF_ISSUER="a\\\0b"', ".env, line 1: PROOF_ISSUER has a \\ in quotes"),
        ("PROOF_ISSUER", ".env, line 1: PROOF_ISSUER has no = and is not set."),
        (f"PORT={VALUE}\n\nPORT=", ".env, line 1: PORT is there more than once. The last one counts."),
    ],
)
def test_a_line_that_others_read_differently_is_reported(command: CommandLine, text: str, expected: str) -> None:
    assert expected in check(command, text)


@pytest.mark.parametrize(
    "text",
    ["PROOF_ISSUER='a$b'", "PROOF_ISSUER=a$", "PROOF_ISSUER='#a'", "PROOF_ISSUER=a#b", r"PROOF_ISSUER='a\b'",
     r"PROOF_ISSUER='it\'s'", r"PROOF_ISSUER=a\\b", r'PROOF_ISSUER="a\\0"', r'PROOF_ISSUER="a\"b"',
     "PROOF_ISSUER=${PATH}"],
)  # fmt: skip
def test_a_line_that_others_read_the_same_way_is_not_reported(command: CommandLine, text: str) -> None:
    assert ".env, line" not in check(command, text)


@pytest.mark.parametrize("value", ['"a"', "'a'", "a # mine", " a", "a "])
def test_characters_that_docker_run_keeps_are_reported(command: CommandLine, value: str) -> None:
    warning = "PROOF_ISSUER in the environment has quotes, a comment or blanks at its ends"
    assert warning in check(command, PROOF_ISSUER=value)
    for plain in (value.strip(" \"'#mine"), "a#b", "a'", "-----BEGIN\nx y\n"):
        assert warning not in check(command, PROOF_ISSUER=plain)


@pytest.mark.usefixtures("here")
def test_an_empty_name_of_a_file_counts_as_unset() -> None:
    Path("key").write_text("from-a-file")
    Path(".env").write_text("INFOBIP_API_KEY_FILE=key\n")
    settings = load_settings({**GOOD, "INFOBIP_API_KEY": "", "INFOBIP_API_KEY_FILE": ""})
    assert settings.infobip_api_key.get_secret_value() == "from-a-file"
