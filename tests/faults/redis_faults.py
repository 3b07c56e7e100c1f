"""Faults of Redis under running replicas; each lasts as long as its block. tools/soak.py runs them."""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.faults import redis_proxy as rp
from tests.faults.replicas import Replicas

RedisFault = Callable[[Replicas], AbstractContextManager[None]]


@contextmanager
def hang(replicas: Replicas) -> Iterator[None]:
    """Stop the process with SIGSTOP."""
    assert replicas.server._process
    replicas.server._process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        replicas.server._process.send_signal(signal.SIGCONT)


@contextmanager
def stop(replicas: Replicas) -> Iterator[None]:
    """End the server; its data are there after the restart."""
    replicas.server.stop()
    try:
        yield
    finally:
        replicas.server.start()


@contextmanager
def empty(replicas: Replicas) -> Iterator[None]:
    """Delete all data and all scripts."""
    replicas.journal.forget()
    with replicas.database() as database:
        database.flushall()
        database.script_flush()
    replicas.journal.forget()
    yield


@contextmanager
def cut(replicas: Replicas) -> Iterator[None]:
    """Close every connection."""
    with replicas.database() as database:
        database.client_kill_filter(_type="normal", skipme=True)
    yield


@contextmanager
def slow(replicas: Replicas) -> Iterator[None]:
    """Delay every command, some for longer than a client waits."""
    with replicas.database() as database:
        database.client_pause(700)
    yield


def _configure(**settings: str) -> RedisFault:
    @contextmanager
    def fault(replicas: Replicas) -> Iterator[None]:
        with replicas.database() as database:
            before = {name: database.config_get(name)[name] for name in (key.replace("_", "-") for key in settings)}
            try:
                for name, value in settings.items():
                    database.config_set(name.replace("_", "-"), value)
                yield
            finally:
                for name, value in before.items():
                    database.config_set(name, value)

    return fault


REDIS_FAULTS: list[RedisFault] = [
    hang,
    stop,
    empty,
    cut,
    slow,
    _configure(maxmemory="1", maxmemory_policy="noeviction"),  # OOM for each write
    _configure(min_replicas_to_write="1"),  # NOREPLICAS for each write
    _configure(requirepass="another"),  # NOAUTH for new connections
    _configure(maxclients="1"),
]

REFUSALS = ("LOADING", "MASTERDOWN", "MISCONF", "CLUSTERDOWN", "READONLY", "OOM", "NOAUTH", "TRYAGAIN")
ACTS = [rp.refuse(f"{word} for a while") for word in REFUSALS]
ACTS += [rp.lose_reply, rp.cut_reply, rp.cut, rp.hang, rp.delay(0.3), rp.delay(1.5)]
ACTS += [rp.reply_with(b"\x00\xffHTTP/1.1 400\r\n\r\n")]
# These are parts of all commands, of the scripts of a PIN, and of the one that uses a PIN up.
COMMANDS = ("", "", "pinId", "return redis.call('DEL'")


def replies(proxy: rp.RedisProxy) -> list[RedisFault]:
    """Return faults of commands and replies, between the replicas and Redis."""

    def fault(act: rp.Act) -> RedisFault:
        @contextmanager
        def break_commands(_: Replicas) -> Iterator[None]:
            proxy.fault(act, random.choice(COMMANDS))
            try:
                yield
            finally:
                proxy.heal()

        return break_commands

    return [fault(act) for act in ACTS]
