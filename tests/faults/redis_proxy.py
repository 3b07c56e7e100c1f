"""A proxy in front of a real Redis that understands enough of RESP to break one command and pass on the next."""

import math
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import NoReturn

from tests.accepting import accepted


@dataclass
class Exchange:
    """A command that arrived: its bytes, and both ends."""

    command: bytes
    client: socket.socket
    server: socket.socket
    answers: BufferedReader

    def execute(self) -> bytes:
        """Have Redis execute it; its answer."""
        self.server.sendall(self.command)
        if not (answer := _element(self.answers)):
            raise ConnectionError
        return answer


Act = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """No fault."""
    exchange.client.sendall(exchange.execute())


def lose_reply(exchange: Exchange) -> NoReturn:
    """Execute it, and cut the connection before the answer."""
    exchange.execute()
    raise ConnectionError


def cut_reply(exchange: Exchange) -> NoReturn:
    """Execute it, and cut the connection in the middle of the answer."""
    exchange.client.sendall(exchange.execute()[:2])
    raise ConnectionError


def cut(_: Exchange) -> NoReturn:
    """Cut the connection instead of executing it."""
    raise ConnectionError


def hang(exchange: Exchange) -> None:
    """Execute it, and never answer on this connection."""
    exchange.execute()
    while exchange.client.recv(65536):
        pass


def delay(seconds: float) -> Act:
    """Execute it, and answer late."""

    def act(exchange: Exchange) -> None:
        time.sleep(seconds)
        pass_on(exchange)

    return act


def say(answer: bytes) -> Act:
    """Answer with these bytes instead of executing it."""
    return lambda exchange: exchange.client.sendall(answer)


def refuse(error: str) -> Act:
    """Answer with an error instead of executing it."""
    return say(f"-{error}\r\n".encode())


class RedisProxy:
    """Listens before 127.0.0.1:`port`. Without a fault it only passes on."""

    def __init__(self, port: int = 0) -> None:
        self.server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self.heal()

    def __enter__(self) -> "RedisProxy":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def heal(self) -> None:
        """End all faults."""
        self._on, self._left, self.met = "", 0.0, 0
        self._act: Act = pass_on

    def fault(self, act: Act, on: str = "", times: float = math.inf) -> None:
        """From now on, `act` on commands that contain `on` (a key, a part of a script), so many times.

        `met` counts them.
        """
        self.heal()
        self._on, self._act, self._left = on, act, times

    def _serve(self) -> None:
        for client in accepted(self._listener):
            threading.Thread(target=self._pump, args=(client,), daemon=True).start()

    def _pump(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client.makefile("rb") as commands, server.makefile("rb") as answers:
                while command := _element(commands):
                    self._chosen(command)(Exchange(command, client, server, answers))
            client.shutdown(socket.SHUT_RDWR)

    def _chosen(self, command: bytes) -> Act:
        asks_about_one = b"\r\nGETKEYS\r\n" in command  # a client of a Cluster, which then gives it
        with self._lock:
            if self._left <= 0 or self._on.encode() not in command or (self._on and asks_about_one):
                return pass_on
            self._left -= 1
            self.met += 1
            return self._act


def _element(stream: BufferedReader) -> bytes:
    """The bytes of one element of RESP2: a command, or an answer. Empty at the end of the stream."""
    head = stream.readline()
    kind, rest = head[:1], head[1:]
    if kind == b"$" and int(rest) >= 0:
        return head + stream.read(int(rest) + 2)
    if kind == b"*" and int(rest) >= 0:
        return head + b"".join(_element(stream) for _ in range(int(rest)))
    return head
