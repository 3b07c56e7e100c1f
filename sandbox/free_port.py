"""Finds a free port."""

import itertools
import random
import socket
from contextlib import suppress

# Below the ports of outgoing connections (Linux: from 32768, others: from 49152): a burst of these could otherwise take
# the port before the caller listens on it.
FIRST, LAST = 20_000, 32_000

_turns = itertools.count(random.randrange(LAST))  # one port after the other: none twice before its first use


def free_port() -> int:
    """A port of this machine that no process listens on."""
    while True:
        port = FIRST + next(_turns) % (LAST + 1 - FIRST)
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
