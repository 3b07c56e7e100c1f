"""The commands in examples/autofill.md set the texts that it shows, and phones find the PIN in these texts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from cli.account_check.segments import measure
from tests.support.command import CommandLine
from tests.support.running import ROOT, Sandbox

TEXT = (ROOT / "examples/autofill.md").read_text()
SHOWN = re.findall(r"```sh\n(.*)\n```\n```text\n([^`]*)\n```", TEXT)
LAST_LINE = re.compile(r"\n@[a-z0-9.-]+ #123456\Z")  # https://wicg.github.io/sms-one-time-codes/#parsing
APP = re.compile(r"^[A-Za-z0-9+/]{11}$", re.MULTILINE)


@pytest.mark.parametrize(("command", "sms"), SHOWN, ids=["web", "android", "both"])
def test_a_command_makes_the_sms_that_is_shown(command: str, sms: str, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.empty(fixed_pin="123456")
    line = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url)
    shell = command.replace(".venv/bin/flask", f"{sys.executable} -m flask")
    ran = subprocess.run(
        ["sh", "-c", shell],
        cwd=tmp_path,
        env=line.environment,
        input="y\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    application, message = line.ids()
    body = {"applicationId": application, "messageId": message, "to": "4915112345678"}
    headers = {"Authorization": f"App {line.environment['INFOBIP_API_KEY']}", "Connection": "close"}
    assert requests.post(f"{sandbox.url}/2fa/2/pin", json=body, headers=headers, timeout=5).ok
    assert sandbox.messages[-1].text == sms


def test_the_texts_have_what_phones_look_for() -> None:
    web, android, both = (sms for _, sms in SHOWN)
    for sms in (web, both):
        assert LAST_LINE.search(sms)
    for sms in (android, both):
        assert APP.search(sms)
        assert len(sms.encode()) <= 140
    for sms in (web, android, both):
        assert measure(sms).segments == 1
