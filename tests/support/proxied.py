"""Replicas of the service behind a real nginx, with the configuration in deploy/, and clients in front."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from sandbox.free_port import free_port
from tests.support.name_server import NameServer
from tests.support.running import ROOT, Service, answers

PRIVATE = "127.0.0.26"  # stands for the private address of a proxy in front


class From(HTTPAdapter):
    """Sends requests from one address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **kwargs)


class Proxied:
    """The proxy's port, the replicas behind it, and clients in front, each with an address of its own."""

    def __init__(self, port: int, shared: int, names: NameServer, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.shared = shared
        self.names = names
        self._log = log

    def log(self) -> str:
        """Return the proxy's own log."""
        return self._log.read_text()

    def send(self, client: str, phone: str, **headers: str) -> requests.Response:
        with requests.Session() as session:
            session.mount("http://", From(client))
            return session.post(f"{self.url}/send-otp", json={"phoneNumber": phone}, headers=headers, timeout=40)

    @classmethod
    @contextmanager
    def started(cls, nginx: str, replicas: list[Service], directory: Path) -> Iterator["Proxied"]:
        """Run the program `nginx` in `directory`, in front of `replicas` that share a port."""
        port, shared = free_port(), replicas[0].port
        with NameServer.started() as names, (directory / "log").open("wb") as log:
            (directory / "nginx.conf").write_text(configuration(port, shared, names.port))
            command = [nginx, "-p", str(directory), "-c", "nginx.conf"]
            process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
            try:
                assert answers(f"http://127.0.0.1:{port}/healthz", process)
                yield cls(port, shared, names, directory / "log")
            finally:
                process.terminate()
                process.wait(60)

    def set_replicas(self, *addresses: str) -> None:
        """Make these the only replicas that the proxy knows: it looks up their addresses every second."""
        if self.names.addresses != [*addresses]:
            self.names.addresses, before = [*addresses], self.names.asked
            while self.names.asked == before:
                requests.get(f"{self.url}/healthz", timeout=5)
                time.sleep(0.05)

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=15) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                return answer.read()


def configuration(port: int, shared: int, names: int) -> str:
    """Return deploy/nginx.conf with the ports of this test instead of the containers', and a private address."""
    text = (ROOT / "deploy/nginx.conf").read_text()
    ports = {"listen 8080;": f"listen 127.0.0.1:{port};", "$replicas:3000;": f"$replicas:{shared};"}
    for shipped, here in {
        **ports,
        "172.16.0.0/12 ": f"{PRIVATE} ",
        "resolver 127.0.0.11 ": f"resolver 127.0.0.1:{names} ",
    }.items():
        assert text.count(shipped) == 1
        text = text.replace(shipped, here)
    return text.replace("/tmp/", "./")
