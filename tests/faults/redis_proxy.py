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

from tests.support.accepting import accepted


@dataclass
class Exchange:
    """A command that arrived: its bytes, and both connections."""

    command: bytes
    client: socket.socket
    server: socket.socket
    answers: BufferedReader

    def execute(self) -> bytes:
        """Have Redis execute the command, and return the reply."""
        self.server.sendall(self.command)
        if not (answer := _element(self.answers)):
            raise ConnectionError
        return answer


Act = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """Execute the command without a fault."""
    exchange.client.sendall(exchange.execute())


def lose_reply(exchange: Exchange) -> NoReturn:
    """Execute the command, and cut the connection before the reply."""
    exchange.execute()
    raise ConnectionError


def cut_reply(exchange: Exchange) -> NoReturn:
    """Execute the command, and cut the connection in the middle of the reply."""
    exchange.client.sendall(exchange.execute()[:2])
    raise ConnectionError


def cut(_: Exchange) -> NoReturn:
    """Cut the connection instead of executing the command."""
    raise ConnectionError


def hang(exchange: Exchange) -> None:
    """Execute the command, and never reply on this connection."""
    exchange.execute()
    while exchange.client.recv(65536):
        pass


def reply_twice(exchange: Exchange) -> None:
    """Reply twice to one command: every later reply is off by one."""
    exchange.client.sendall(2 * exchange.execute())


def swallow(exchange: Exchange) -> None:
    """Execute the command without replying; later commands get their replies."""
    exchange.execute()


def lose_reply_after(happened: threading.Event) -> Act:
    """Execute the command, and cut the connection when `happened` is set."""

    def act(exchange: Exchange) -> NoReturn:
        exchange.execute()
        happened.wait(5)
        raise ConnectionError

    return act


def cut_after(happened: threading.Event) -> Act:
    """Cut the connection when `happened` is set, without executing the command."""

    def act(_: Exchange) -> NoReturn:
        happened.wait(5)
        raise ConnectionError

    return act


def delay(seconds: float) -> Act:
    """Execute the command, and reply late."""

    def act(exchange: Exchange) -> None:
        time.sleep(seconds)
        pass_on(exchange)

    return act


def reply_with(reply: bytes) -> Act:
    """Reply with these bytes instead of executing the command."""
    return lambda exchange: exchange.client.sendall(reply)


def refuse(error: str) -> Act:
    """Reply with an error instead of executing the command."""
    return reply_with(f"-{error}\r\n".encode())


class RedisProxy:
    """Listens in front of 127.0.0.1:`port`. Without a fault it passes everything on."""

    def __init__(self, port: int = 0) -> None:
        self.server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._silent: set[socket.socket] = set()
        self.heal()

    def __enter__(self) -> "RedisProxy":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def heal(self) -> None:
        """End all faults."""
        self._on: tuple[str, ...] = ()
        self._left, self.met = 0.0, 0
        self._act: Act = pass_on

    def fault(self, act: Act, *on: str, times: float = math.inf) -> None:
        """From now on, run `act` on commands that contain all of `on` (a key, an argument), this number of times.

        `met` counts them. Commands that share a connection wait for those before them.
        """
        self.heal()
        self._on, self._act, self._left = on, act, times

    def fall_silent(self) -> None:
        """Read the open connections and pass nothing on, without closing them. New ones work.

        A load balancer that has dropped its connections does the same.
        """
        self._silent |= self._open

    def _serve(self) -> None:
        for client in accepted(self._listener):
            threading.Thread(target=self._pump, args=(client,), daemon=True).start()

    def _pump(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(client)
            try:
                with client.makefile("rb") as commands, server.makefile("rb") as answers:
                    while command := _element(commands):
                        self._chosen(command, client)(Exchange(command, client, server, answers))
                client.shutdown(socket.SHUT_RDWR)
            finally:
                self._open.discard(client)
                self._silent.discard(client)

    def _chosen(self, command: bytes, client: socket.socket) -> Act:
        if client in self._silent:
            return lambda _: None
        is_getkeys = b"\r\nGETKEYS\r\n" in command  # a client of a Cluster sends it before the command itself
        with self._lock:
            chosen = all(part.encode() in command for part in self._on) and not (any(self._on) and is_getkeys)
            if self._left <= 0 or not chosen:
                return pass_on
            self._left -= 1
            self.met += 1
            return self._act


def _element(stream: BufferedReader) -> bytes:
    """Read one element of RESP, a command or a reply, and return its bytes. They are empty at the end of the stream."""
    head = stream.readline()
    kind, rest = head[:1], head[1:]
    if kind == b"$" and int(rest) >= 0:
        return head + stream.read(int(rest) + 2)
    if kind in (b"*", b"~", b"%") and int(rest) >= 0:
        amount = 2 * int(rest) if kind == b"%" else int(rest)
        return head + b"".join(_element(stream) for _ in range(amount))
    return head
