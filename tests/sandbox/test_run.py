"""`make run`, the command for newcomers: it starts everything, prints the addresses, and leaves nothing behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
import redis
import requests

from config import SettingsError, load_settings
from sandbox import hosts
from sandbox.free_port import free_port
from tests.sandbox.test_sandbox_hosts import own_address
from tests.support.make_run import descendants, make_run, until_ready
from tests.support.pages import ALL_PAGES, PAGES
from tests.support.programs import program
from tests.support.running import ROOT
from tests.support.upstream import Upstream


def test_make_run_works_without_an_account_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """This holds with a copied `.env` without values, except for ids that `flask infobip setup` wrote."""
    program("curl")
    port, sandbox_port = free_port(), free_port()
    pins = {"PIN_LENGTH": "4", "PIN_TYPE": "HEX", "PIN_TIME_TO_LIVE": "20m"}
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text() + "INFOBIP_2FA_APP_ID=X\n")
    given = {"INFOBIP_API_KEY": "", "VERIFY_OTP_LIMIT": "7 per minute", **pins}
    with make_run(tmp_path, PORT=str(port), SANDBOX_PORT=str(sandbox_port), **given) as process:
        printed = until_ready(process)
        assert "1000 per minute to send and 7 per minute to verify" in printed, (
            "those of the example are nobody's choice"
        )
        with redis.Redis.from_url(re.findall(r"redis://\S+", printed)[0]) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}, "as in production"
        send, verify = re.findall(r"^  (curl .*)$", printed, re.MULTILINE)
        assert '"expiresIn":1200' in run(send)
        inbox = requests.get(f"http://127.0.0.1:{sandbox_port}/inbox", timeout=5).json()["messages"]
        assert re.fullmatch("[0-9A-F]{4}", inbox[0]["pin"])
        assert '"OTP verified successfully."' in run(verify.replace("123456", inbox[0]["pin"]))
        processes = descendants(process)
        assert len(processes) >= 4
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
        assert process.stdout
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert f"SMS to +14155552671: {inbox[0]['pin']} is your verification code." in rest
    assert "Traceback" not in rest
    assert not [each for each in processes if each.is_running()]
    assert list((tmp_path / "tmp").iterdir()) == []
    assert {p.name for p in tmp_path.iterdir()} == {"tmp", ".env"}


def run(curl: str) -> str:
    return subprocess.run(shlex.split(curl), capture_output=True, text=True, check=True).stdout


def test_with_an_account_make_run_uses_the_real_infobip(tmp_path: Path, upstream: Upstream, redis_url: str) -> None:
    port = free_port()
    (tmp_path / ".env").write_text(
        f"INFOBIP_BASE_URL={upstream.url}\nINFOBIP_API_KEY=mine\nINFOBIP_2FA_APP_ID=A\nINFOBIP_2FA_MSG_ID=M\n"
        f"REDIS_URL={redis_url}\nPORT={port}\n"
    )
    with make_run(tmp_path) as process:
        printed = until_ready(process)
        assert "the real Infobip" in printed
        assert "yours, by REDIS_URL" in printed
        body = {"phoneNumber": "+442071838750"}
        answer = requests.post(
            f"http://127.0.0.1:{port}/send-otp", json=body, headers={"Connection": "close"}, timeout=5
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert answer.status_code == 200
    assert upstream.requests[0][1]["authorization"] == "App mine"


@pytest.mark.long
@pytest.mark.parametrize(("name", "owner"), [("PORT", "the service"), ("SANDBOX_PORT", "the sandbox")])
def test_a_port_in_use_is_reported_in_one_sentence(tmp_path: Path, name: str, owner: str) -> None:
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    with socket.create_server(("127.0.0.1", int(ports[name]))), make_run(tmp_path, **ports) as process:
        printed, _ = process.communicate(timeout=60)
    assert printed == f"Port {ports[name]}, which {owner} listens on, is in use by another program.\n"
    assert process.returncode == 1


def test_trying_it_out_does_not_exceed_the_limits(tmp_path: Path) -> None:
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    with make_run(tmp_path, **ports) as process:
        printed = until_ready(process)
        assert "1000 per minute to send and 1000 per minute to verify" in printed
        (page,) = re.findall(r"^  phone +(http\S+) ", printed, re.MULTILINE)
        offer = requests.get(f"{page}/try", timeout=5).json()
        assert offer["service"] == f"http://localhost:{ports['PORT']}"
        assert offer["limits"] == {"send": "1000 per minute", "verify": "1000 per minute"}
        for n in range(7):
            body = {"phoneNumber": f"+491511000000{n}"}
            assert requests.post(f"{page}/try/send-otp", json=body, timeout=5).json()["status"] == 200
        with redis.Redis.from_url(re.findall(r"redis://\S+", printed)[0]) as client:
            for path in ("send-otp", "resend-otp", "send-otp", "resend-otp", "resend-otp", "send-otp"):
                client.delete(*client.keys("*:cooldown"))
                assert requests.post(f"{page}/try/{path}", json=body, timeout=5).json()["status"] == 200
        process.send_signal(signal.SIGINT)
        assert process.stdout
        printed += process.stdout.read()
        assert process.wait(60) == 0
    assert "what the service lets through" not in printed, "the sandbox takes as much"


@pytest.mark.long
def test_make_run_prints_the_address_where_the_sandbox_listens(tmp_path: Path) -> None:
    """`.env` may set the sandbox's host and port, like other settings of `make run`."""
    program("curl")
    address = own_address()
    port = free_port()
    (tmp_path / ".env").write_text(f"SANDBOX_HOST={address}\nSANDBOX_PORT={port}\n")
    with make_run(tmp_path, PORT=str(free_port())) as process:
        printed = until_ready(process)
        assert f"  phone     http://{address}:{port} " in printed
        assert '"expiresIn":600' in run(re.findall(r"^  (curl .*)$", printed, re.MULTILINE)[0])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "3001.0"])
def test_an_invalid_sandbox_port_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="SANDBOX_PORT: must be from 1 to 65535"):
        hosts.address({"SANDBOX_PORT": port})


def test_an_invalid_sandbox_port_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with make_run(tmp_path, PORT=str(free_port()), SANDBOX_PORT="abc") as process:
        printed, _ = process.communicate(timeout=60)
    assert printed == "SANDBOX_PORT: must be from 1 to 65535\n"
    assert process.returncode == 1


def test_an_incomplete_account_is_refused_with_the_missing_setting(tmp_path: Path) -> None:
    with make_run(tmp_path, INFOBIP_API_KEY="mine", PORT=str(free_port())) as process:
        printed, _ = process.communicate(timeout=60)
    assert "INFOBIP_BASE_URL: is missing" in printed
    assert "Traceback" not in printed
    assert process.returncode == 1


@pytest.mark.long
def test_the_death_of_one_process_ends_all_of_them(tmp_path: Path) -> None:
    with make_run(tmp_path, PORT=str(free_port()), SANDBOX_PORT=str(free_port())) as process:
        until_ready(process)
        processes = descendants(process)
        (sandbox,) = [each for each in processes if "sandbox.server" in each.cmdline()]
        sandbox.kill()
        printed, _ = process.communicate(timeout=60)
    assert "A part of the service has ended by itself" in printed
    assert process.returncode == 1
    assert not [each for each in processes if each.is_running()]


@pytest.mark.long
@pytest.mark.parametrize(("given", "bind"), [({}, "127.0.0.1"), ({"BIND": "0.0.0.0"}, "0.0.0.0")])
def test_make_run_listens_on_loopback_by_default(tmp_path: Path, given: dict[str, str], bind: str) -> None:
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    with make_run(tmp_path, **ports, **given) as process:
        until_ready(process)
        processes = descendants(process)
        children = psutil.Process(process.pid).children()
        (gunicorn,) = [each for each in children if "gunicorn" in each.cmdline()]
        bind_variable = gunicorn.environ().get("BIND")
        listening = {c.laddr for each in processes for c in each.net_connections() if c.status == psutil.CONN_LISTEN}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert bind_variable == bind
    assert {address.ip for address in listening if address.port != int(ports["PORT"])} == {"127.0.0.1"}


def test_the_pages_give_the_path_of_their_commands() -> None:
    """`make` installs into `.venv`, which is not on the PATH."""
    commands = re.findall(r"(\S*)(?:python -m|flask proof new-key)", ALL_PAGES)
    assert len(commands) >= 3
    assert {each.strip("(`") for each in commands} == {".venv/bin/"}


def test_the_page_on_infobip_covers_every_required_setting() -> None:
    section = re.findall(r"## Get Infobip credentials\n.*?(?=\n## )", PAGES["docs/infobip.md"], re.DOTALL)[0]
    with pytest.raises(SettingsError) as missing:
        load_settings({})
    names = set(re.findall("^  ([A-Z0-9_]+): is missing", str(missing.value), re.MULTILINE))
    written_by_setup = {"INFOBIP_2FA_APP_ID", "INFOBIP_2FA_MSG_ID"}
    shown = {"base URL": "INFOBIP_BASE_URL", "API key": "INFOBIP_API_KEY", "`REDIS_URL`": "REDIS_URL"}
    assert names - written_by_setup == {name for words, name in shown.items() if words in section}


@pytest.mark.parametrize(
    ("refuses", "printed"),
    [("sys.exit", "Python 3.11 or newer is needed"), ("ensurepip", "Python's venv module is missing")],
)
def test_make_explains_why_a_python_is_unusable(tmp_path: Path, refuses: str, printed: str) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for needed in ("requirements.txt", "requirements/sandbox.txt"):
        (tmp_path / needed).parent.mkdir(exist_ok=True)
        (tmp_path / needed).touch()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *{refuses}*) exit 1;; esac\n')
    python.chmod(0o755)
    made = subprocess.run(
        ["make", "run", f"PYTHON={python}", "VENV=.venv"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 2
    assert printed in made.stderr
    assert not (tmp_path / ".venv").exists()
