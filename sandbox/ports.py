"""Where something can listen."""

import random
import socket
from contextlib import suppress

# Below the ports that systems give to outgoing connections (Linux: 32768 and up, others: 49152): a burst of these would
# take a port between the look and the listening.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    while True:
        port = random.randint(FIRST, LAST)
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
