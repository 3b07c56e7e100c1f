"""The clients in examples/, started as people start them, against the service that `make run` starts."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from sandbox.free_port import free_port
from tests.support.connect_proxy import ConnectProxy
from tests.support.cutting_proxy import CuttingProxy
from tests.support.make_run import MakeRun
from tests.support.programs import program
from tests.support.receiver import until
from tests.support.running import ROOT, Sandbox, Service
from tests.support.tls_proxy import TlsProxy
from tests.support.upstream import Upstream, answer, raw

KEY = "shop-key-0123456789"
PIN, WRONG = "123456", "000000"
CLIENTS = {"verify.py": sys.executable, "verify.mjs": "node", "verify.sh": "sh"}

Client = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRun]:
    with MakeRun.started(tmp_path_factory.mktemp("make_run"), SANDBOX_PIN=PIN) as make_run:
        yield make_run


@pytest.fixture
def keyed(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with an API key, and with an Infobip that sends the same PIN to everybody."""
    sandbox.reset(fixed_pin=PIN)
    return start(sandbox.url, API_KEYS=f"shop:{KEY}")


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    """Run a client for the service at `url`, with a phone number and the lines that a person types."""
    command = command_of(request.param)

    def run(url: str, phone: str, *typed: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return ran([*command, phone], "".join(f"{line}\n" for line in typed), OTP_URL=url, **environment)

    return run


def command_of(name: str) -> list[str]:
    """Return the command that a person types before the phone number."""
    if name.endswith(".sh"):
        program("curl")  # the script runs it
    return [program(CLIENTS[name], "nodejs"), str(ROOT / "examples" / name)]


def ran(command: list[str], typed: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, input=typed, env=given, capture_output=True, text=True, timeout=60, check=False)


def test_a_number_is_verified(client: Client, make_run: MakeRun, phone: str) -> None:
    ran = client(f"http://localhost:{make_run.port}", phone, WRONG, "12", PIN)
    assert ran.returncode == 0, ran.stderr
    assert "A PIN is on its way." in ran.stdout
    assert "Invalid or expired OTP. (invalid_otp, request " in ran.stdout
    assert "Invalid PIN format. (invalid_pin_format, request " in ran.stdout
    assert ran.stdout.endswith("Verified.\n")
    assert make_run.pins(phone) == [PIN]


@pytest.mark.parametrize("typed", ["", f"{WRONG}\n"], ids=["nothing", "a wrong PIN"])
@pytest.mark.parametrize("name", CLIENTS)
def test_an_end_of_input_grants_nothing(make_run: MakeRun, phone: str, name: str, typed: str) -> None:
    """In `verify PHONE && grant`, Ctrl-D in place of the PIN must not lead to `grant`."""
    ended = ran([*command_of(name), phone], typed, OTP_URL=f"http://localhost:{make_run.port}")
    assert (ended.returncode, ended.stderr.strip()) == (1, "Not verified."), ended.stdout


@pytest.mark.parametrize("name", CLIENTS)
def test_a_pin_without_a_newline_counts(make_run: MakeRun, phone: str, name: str) -> None:
    ended = ran([*command_of(name), phone], PIN, OTP_URL=f"http://localhost:{make_run.port}")
    assert (ended.returncode, ended.stdout.endswith("Verified.\n")) == (0, True), ended.stderr


@pytest.mark.parametrize("given", [[], [""], ["+1", "415", "555", "2671"]], ids=["nothing", "empty", "unquoted"])
@pytest.mark.parametrize("name", CLIENTS)
def test_wrong_use_is_explained(name: str, given: list[str]) -> None:
    ended = ran([*command_of(name), *given], "", OTP_URL=f"http://127.0.0.1:{free_port()}")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"Usage: \S+ {re.escape(name)} PHONE_NUMBER, like .*\n", ended.stderr)


def test_ctrl_c_leaves_no_traceback(make_run: MakeRun, phone: str) -> None:
    command = command_of("verify.py")
    given = {"PATH": os.environ["PATH"], "OTP_URL": f"http://localhost:{make_run.port}", "PYTHONUNBUFFERED": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, phone], env=given, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline().startswith("A PIN is on its way.")
        assert process.stdout.read(5) == "PIN: "
        until(lambda: "(sleeping)" in Path(f"/proc/{process.pid}/status").read_text())  # it waits for the PIN
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 1
        assert process.stderr.read().strip() == "Not verified."


def test_a_second_send_too_soon_prints_how_long_to_wait(client: Client, make_run: MakeRun, phone: str) -> None:
    client(f"http://localhost:{make_run.port}", phone)
    again = client(f"http://localhost:{make_run.port}", phone)
    assert again.returncode == 1
    found = re.search(r"Wait (\d+) seconds\. \(too_many_requests, request [0-9a-f]{32}\)", again.stderr)
    assert found, again.stderr
    assert 1 <= int(found[1]) <= 30
    assert make_run.pins(phone) == [PIN]


def test_without_a_key_the_client_prints_the_refusal(client: Client, keyed: Service, phone: str) -> None:
    ran = client(keyed.url, phone)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("This needs a valid API key. (unauthorized, request ")


def test_with_its_key_the_client_verifies(client: Client, keyed: Service, phone: str) -> None:
    ran = client(keyed.url, phone, PIN, OTP_API_KEY=KEY)
    assert (ran.returncode, ran.stdout.endswith("Verified.\n")) == (0, True), ran.stderr


def test_a_request_is_sent_again_if_its_response_is_lost(client: Client, make_run: MakeRun, phone: str) -> None:
    with CuttingProxy.before(f"http://localhost:{make_run.port}") as proxy:
        ran = client(proxy.url, phone, PIN)
    assert (ran.returncode, ran.stdout.endswith("Verified.\n")) == (0, True), ran.stderr
    assert proxy.answers == [200, 200, 200]
    assert make_run.pins(phone) == [PIN], "one SMS"


def test_an_unreachable_service_is_reported(client: Client, phone: str) -> None:
    ran = client(f"http://127.0.0.1:{free_port()}", phone)
    assert ran.returncode == 1
    assert "The service cannot be reached" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_html_error_of_a_proxy_is_reported(client: Client, upstream: Upstream, phone: str) -> None:
    html = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    upstream.script.append(raw(html))
    ran = client(upstream.url, phone)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("HTTP 502. (")


OTHERS = {"HTML": (b"text/html", b"<p>Log in to this network"), "JSON": (b"application/json", b"{}")}


@pytest.mark.parametrize("sent", [False, True], ids=["from the start", "after the send"])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_200_of_another_server_grants_nothing(
    client: Client, upstream: Upstream, phone: str, kind: str, sent: bool
) -> None:
    """It may come from a captive portal, another server on the port or a page that accepts every path."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    content_type, body = OTHERS[kind]
    real = [answer({"message": "OTP sent successfully.", "expiresIn": 600, "verificationId": "x" * 22})] if sent else []
    upstream.script.extend([*real, *[raw(head % (content_type, len(body)) + body)] * 9])
    ran = client(upstream.url, phone, PIN)
    assert ran.returncode == 1
    assert "Verified." not in ran.stdout
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["verify.py", "verify.sh"])
def test_a_proxys_response_to_connect_is_skipped(make_run: MakeRun, tmp_path: Path, phone: str, name: str) -> None:
    """The 200 of the proxy comes before the 401 of the service."""
    with TlsProxy(make_run.port, tmp_path) as service, ConnectProxy() as proxy:
        authority = str(service.authority)
        outside = {"https_proxy": f"http://127.0.0.1:{proxy.port}", "OTP_URL": f"https://localhost:{service.port}"}
        trusted = {"CURL_CA_BUNDLE": authority, "REQUESTS_CA_BUNDLE": authority}
        ended = ran([*command_of(name), phone], f"{WRONG}\n", **outside, **trusted)
    assert (ended.returncode, ended.stderr.strip()) == (1, "Not verified."), ended.stdout
    assert "(invalid_otp, request " in ended.stdout
    assert proxy.heads, "it went through the proxy"


@pytest.mark.parametrize("name", CLIENTS)
def test_a_pin_with_digits_of_another_script_is_accepted(make_run: MakeRun, phone: str, name: str) -> None:
    pasted = "\u200f\u0661\u0662\u0663 \u0664\u0665\u0666\n"
    ended = ran([*command_of(name), phone], pasted, OTP_URL=f"http://localhost:{make_run.port}", LC_ALL="C.UTF-8")
    assert (ended.returncode, ended.stdout.endswith("Verified.\n")) == (0, True), ended.stderr
