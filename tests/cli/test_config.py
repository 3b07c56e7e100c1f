"""`flask config check` checks only the settings, so that it can run without a network: in CI, and before a start."""

import json
from pathlib import Path

import pytest

from cli.check_settings import config
from tests.cli.test_check import STRONG
from tests.support.command import IDS, CommandLine
from tests.support.running import ACCOUNT, ROOT

GOOD = {"INFOBIP_BASE_URL": "x.api.infobip.com", "REDIS_URL": "redis://redis.example.com", **STRONG}
GOOD |= {name: ACCOUNT[name] for name in IDS}
RIGHT = "ok       settings             The service starts with them."
# Ends the process as soon as it looks up a host name, or connects.
NO_NETWORK = """
import os, sys
sys.addaudithook(lambda event, _: os._exit(99) if event in ("socket.connect", "socket.getaddrinfo") else None)
"""


class ConfigCommand(CommandLine):
    group = config


@pytest.fixture
def command(tmp_path: Path) -> CommandLine:
    return ConfigCommand(tmp_path, **GOOD)


def test_the_check_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    settings = {**GOOD, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    check, account_check = ConfigCommand(tmp_path, **settings), CommandLine(tmp_path, **settings)
    check.is_cold = account_check.is_cold = True  # Python reads sitecustomize when it starts
    assert check.run_process("check") == (0, f"{RIGHT}\n")
    assert account_check.run_process("check")[0] == 99, "another command does"


def test_weak_and_misspelt_settings_fail_only_with_strict(command: CommandLine) -> None:
    status, output = command.run("check", API_KEYS="", PIN_ATEMPTS="3")
    weak = "warning  settings             API_KEYS is not set: whoever reaches this service may have it send SMS."
    misspelt = "warning  settings             PIN_ATEMPTS is not a setting and is ignored. Did you mean PIN_ATTEMPTS?"
    assert (status, output.splitlines()) == (0, [misspelt, weak, RIGHT])
    assert command.run("check", "--strict", API_KEYS="")[0] == 1
    assert command.run("check", "--strict")[0] == 0


def test_every_invalid_setting_is_named(command: CommandLine) -> None:
    status, output = command.run("check", "--json", PIN_ATTEMPTS="0", REDIS_URL="")
    findings = {(each["status"], each["sentence"]) for each in json.loads(output)}
    assert status == 1
    assert findings == {
        ("error", "PIN_ATTEMPTS: Input should be greater than or equal to 1."),
        ("error", "REDIS_URL: is missing."),
    }
