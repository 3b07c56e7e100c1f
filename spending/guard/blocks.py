"""What the guard has no room for just now, and how an operator makes room."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from connection import Client
from spending.guard.scopes import SCRIPTS, key_of
from store import redis_answers


class Block(NamedTuple):
    """A scope without room. `kind` is country, prefix or address, `until` in Unix seconds."""

    kind: str
    which: str
    why: str
    until: float


def blocks(client: Client) -> Iterator[Block]:
    """Those of this moment, in the order of their names."""
    with redis_answers():
        keys = sorted(client.scan_iter(match=key_of("*", "*"), count=1000))
    for key in keys:
        _, _, kind, which = key.split(":", 3)
        if kind in SCRIPTS:
            with redis_answers():
                until, why = client.hmget(key, "until", "why")
            if until and float(until) > time.time():
                yield Block(kind, which, str(why), float(until))


def lift(client: Client, kind: str, which: str) -> None:
    """Forget what was sent to the scope and not verified; what was verified is kept."""
    with redis_answers():
        client.eval(SCRIPTS[kind].lift, 1, key_of(kind, which))
