"""The sandbox accepts requests for hosts of this machine, not for a web page's own name that points to it."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.authorization import API_KEY
from tests.documents.test_deploy import compose
from tests.sandbox.test_test_numbers import sandbox_process
from tests.support.infobip import TO, call, error, send
from tests.support.running import Sandbox

LOCAL = ["localhost", "localhost:3001", "LOCALHOST", "localhost.", "127.0.0.1:3001", "127.0.0.2", "[::1]:3001", "[::1]"]
ACCEPTED = ["app.localhost:3001", "a.b.localhost", *LOCAL]
FOREIGN = [
    *(
        "evil.example",
        "evil.example:3001",
        "localhost.evil.example",
        "evil-localhost",
        "notlocalhost",
        ".localhost.evil",
    ),
    *("127.0.0.1.evil.example", "127.0.0.1@evil.example", "evil.example@127.0.0.1", "192.168.1.5:3001", "0.0.0.0:3001"),
    *(
        "[::2]:3001",
        "[::]",
        "infobip:3001",
        "localhost,evil.example",
        "localhost/evil",
        "localhost:3001:1",
        "2130706433",
    ),
]


def status_for_host(url: str, host: str, path: str = "/inbox") -> int:
    """Return the status of a request that goes to `url` and names `host` in its Host header."""
    headers = {"Host": host, "Connection": "close", "Authorization": f"App {API_KEY}"}
    with requests.get(f"{url}{path}", headers=headers, timeout=5, stream=True) as answer:  # /events has no end
        return answer.status_code


@pytest.mark.parametrize("host", ACCEPTED)
def test_a_host_of_this_machine_is_accepted(sandbox: Sandbox, host: str) -> None:
    assert status_for_host(sandbox.url, host) == status_for_host(sandbox.url, host, "/2fa/2/applications") == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_any_other_host_is_refused(sandbox: Sandbox, host: str) -> None:
    for path in ("/", "/inbox", "/events", "/try", "/page/main.js", "/nowhere", "/2fa/2/applications"):
        assert status_for_host(sandbox.url, host, path) == 403, path


def test_a_page_whose_name_points_to_the_sandbox_gets_no_pin(sandbox: Sandbox) -> None:
    pin = send(sandbox.url) and sandbox.pin(f"+{TO}")
    answer = requests.get(f"{sandbox.url}/inbox", headers={"Host": "evil.example", "Connection": "close"}, timeout=5)
    assert error((answer.status_code, answer.json())) == (403, "FORBIDDEN")
    assert pin not in answer.text


@pytest.mark.parametrize(
    "head", ["GET /inbox HTTP/1.0", "GET /inbox HTTP/1.1\r\nHost:", "GET http://localhost/inbox HTTP/1.0"]
)
def test_a_request_without_a_host_is_refused(sandbox: Sandbox, head: str) -> None:
    address = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), 5) as connection:
        connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
        with connection.makefile() as answer:
            assert answer.readline().split()[1] in ("400", "403")


@pytest.fixture(scope="module")
def in_compose() -> Iterator[str]:
    """The URL of a sandbox with the environment that docker-compose.yml gives it."""
    environment: dict[str, Any] = compose()["services"]["infobip"]["environment"]
    given = {name: value for name, value in environment.items() if value is not None}  # .env may set the others
    with sandbox_process(**{**given, "PORT": "3000"}) as url:
        yield url


@pytest.mark.parametrize(("host", "status"), [("infobip:3001", 200), ("localhost:3001", 200), ("evil.example", 403)])
def test_in_compose_the_host_of_the_service_is_accepted_too(in_compose: str, host: str, status: int) -> None:
    assert status_for_host(in_compose, host) == status


def test_sandbox_names_adds_hosts() -> None:
    with sandbox_process(SANDBOX_NAMES="Otp-Sandbox.internal, 192.168.1.5") as url:
        hosts = ["otp-sandbox.internal:3001", "192.168.1.5", "localhost", "infobip", "internal"]
        assert [status_for_host(url, host) for host in hosts] == [200, 200, 200, 403, 403]


def test_the_address_in_sandbox_host_is_accepted() -> None:
    address = own_address()
    with sandbox_process(SANDBOX_HOST="0.0.0.0") as url:
        assert status_for_host(url, f"{address}:3001") == 403
    with sandbox_process(address, SANDBOX_HOST=address) as url:
        assert [status_for_host(url, host) for host in (f"{address}:3001", "evil.example")] == [200, 403]


@pytest.mark.parametrize("empty", ["SANDBOX_HOST", "SANDBOX_NAMES"])
def test_an_empty_setting_keeps_the_sandbox_on_loopback(empty: str) -> None:
    """The sandbox must not listen on other addresses, since any client can name localhost as its host."""
    address = own_address()
    with sandbox_process(**{empty: ""}) as url, pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, int(url.rpartition(":")[2])), 5)


def test_hosts_are_accepted_in_any_case() -> None:
    with sandbox_process("[::1]", SANDBOX_HOST="::1", SANDBOX_NAMES="Box.INTERNAL") as url:
        assert [status_for_host(url, host) for host in ("[::1]:3001", "box.internal")] == [200, 200]


def own_address() -> str:
    """Return an address of this machine that is not loopback. Skip the test if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no other address than loopback")
        return str(probe.getsockname()[0])


def test_the_api_checks_the_host_before_the_key(sandbox: Sandbox) -> None:
    assert call(sandbox.url, "GET", "/applications", authorization="App no")[0] == 401
    headers = {"Host": "evil.example", "Connection": "close"}
    assert requests.get(f"{sandbox.url}/2fa/2/applications", headers=headers, timeout=5).status_code == 403
