"""Setup writes the ids into `.env` and changes nothing else in it."""

import os
from pathlib import Path

import pytest

from cli.account_setup import env_file
from tests.support.command import CommandLine
from tests.support.running import ROOT, Sandbox

IDS = {"INFOBIP_2FA_APP_ID": "A-1", "INFOBIP_2FA_MSG_ID": "M_2"}
HAND_MADE = """\
# Infobip
INFOBIP_BASE_URL='https://x.api.infobip.com'   # ours


export INFOBIP_2FA_APP_ID=old   # the application
# INFOBIP_2FA_MSG_ID=commented out
NOTE="two
lines"
OTHER_INFOBIP_2FA_MSG_ID=stays
  INFOBIP_2FA_MSG_ID = 'old'
EMPTY=\
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_only_the_two_values_change(path: Path) -> None:
    path.write_text(HAND_MADE)
    path.chmod(0o640)
    inode = path.stat().st_ino
    env_file.write(path, IDS)
    expected = HAND_MADE.replace("APP_ID=old", "APP_ID=A-1").replace("MSG_ID = 'old'", "MSG_ID =M_2")
    assert path.read_text() == expected
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_ino == inode, "so its owner and its links stay too"
    env_file.write(path, {name: "" for name in IDS})
    assert len(path.read_text()) == len(expected) - 6, "a shorter file has no rest of the longer one"


def test_only_the_ids_change_in_a_copy_of_the_example(path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    path.write_text(example)
    env_file.write(path, IDS)
    changed = [
        now for now, before in zip(path.read_text().split("\n"), example.split("\n"), strict=True) if now != before
    ]
    assert changed == ["INFOBIP_2FA_APP_ID=A-1", "INFOBIP_2FA_MSG_ID=M_2"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "INFOBIP_2FA_APP_ID=A-1\nINFOBIP_2FA_MSG_ID=M_2\n"),
        ("A=1", "A=1\nINFOBIP_2FA_APP_ID=A-1\nINFOBIP_2FA_MSG_ID=M_2\n"),
        ("A=1\r\n", "A=1\r\nINFOBIP_2FA_APP_ID=A-1\r\nINFOBIP_2FA_MSG_ID=M_2\r\n"),
        ("INFOBIP_2FA_MSG_ID=\r\nA=1\r\n", "INFOBIP_2FA_MSG_ID=M_2\r\nA=1\r\nINFOBIP_2FA_APP_ID=A-1\r\n"),
    ],
)
def test_missing_names_are_added_at_the_end(path: Path, before: str, after: str) -> None:
    path.write_bytes(before.encode())
    env_file.write(path, IDS)
    assert path.read_bytes().decode() == after


def test_only_its_owner_may_read_a_new_file(path: Path) -> None:
    mask = os.umask(0)
    try:
        env_file.write(path, IDS)
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_reported(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """Without the right to write, as in some containers, setup shows the ids instead."""
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url)
    path.mkdir()
    status, output = command.run("setup", "--yes")
    assert status == 1
    assert ".env cannot be written (IsADirectoryError): set these yourself." in output
    (made,) = [a.application_id for a in sandbox.two_factor.applications.all() if a.name == "OTP service"]
    assert f"INFOBIP_2FA_APP_ID={made}\n" in output


def test_an_environment_that_overrides_the_file_is_reported(sandbox: Sandbox, tmp_path: Path) -> None:
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url)
    status, output = command.run("setup", "--yes", INFOBIP_2FA_APP_ID="other")
    assert status == 1
    assert "The environment overrides .env with other values: change INFOBIP_2FA_APP_ID there too." in output
