"""An Infobip that holds thousands of sends at a time, and responds to all of them at once."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any, Self

from tests.faults.burst import Loop
from tests.support.command import eventually
from tests.support.upstream import RIGHT, SENT, WRONG, response_bytes

REFUSED = {"requestError": {"serviceException": {"messageId": "FORBIDDEN", "text": "…"}}}


class HeldInfobip(Loop):
    """Holds sends until `answer` is called. Checks guesses immediately, any number of times.

    The PIN of a phone is its last six digits, and each send makes a new `pinId`.
    """

    def __enter__(self) -> Self:
        super().__enter__()
        self.reset()
        self._server = self.begin(self._listen()).result(5)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.begin(self._end()).result(5)
        super().__exit__()

    def reset(self) -> None:
        self.holds = True
        self.held: list[tuple[asyncio.Transport, bytes]] = []
        self.phones: dict[str, str] = {}  # by pinId
        self.checked: list[tuple[str, str]] = []  # the phone of a pinId, and the PIN that was tried

    def wait_for(self, amount: int, refused: Callable[[], int] = lambda: 0) -> None:
        """Wait until it holds this number of sends; refused ones count as well."""
        eventually(lambda: len(self.held) + refused() >= amount, seconds=30)

    def pin_ids(self, phone: str) -> list[str]:
        """Return all pinIds of this phone, oldest first."""
        return [pin_id for pin_id, owner in self.phones.items() if owner == phone]

    def answer(self) -> float:
        """Respond to all held sends at once. Return the time at which that was done."""
        self.begin(self._answer()).result(10)
        return time.monotonic()

    async def _answer(self) -> None:
        held, self.held = self.held, []
        for transport, response in held:
            transport.write(response)

    async def _listen(self) -> asyncio.Server:
        self._open: set[asyncio.Transport] = set()
        return await self.loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)

    async def _end(self) -> None:
        self._server.close()
        for transport in self._open.copy():
            transport.abort()
        await asyncio.sleep(0)  # the aborted connections are closed in the next turn

    def opened(self, transport: asyncio.Transport) -> None:
        self._open.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)

    def take(self, transport: asyncio.Transport, path: str, content: bytes) -> None:
        """Handle a request."""
        if not content:
            transport.write(response_bytes(REFUSED, 403))
        elif path.endswith("/verify"):
            transport.write(response_bytes(self._check(path.split("/")[-2], json.loads(content)["pin"])))
        else:
            pin_id = f"{len(self.phones) + 1:032X}"
            self.phones[pin_id] = "+" + json.loads(content)["to"].removeprefix("+")
            response = response_bytes({**SENT, "pinId": pin_id})
            if self.holds:
                self.held.append((transport, response))
            else:
                transport.write(response)

    def _check(self, pin_id: str, pin: str) -> dict[str, Any]:
        phone = self.phones[pin_id]
        self.checked.append((phone, pin))
        return {**(RIGHT if pin == pin_of(phone) else WRONG), "pinId": pin_id}


class _Connection(asyncio.Protocol):
    """A connection of the service, which carries one request after the other."""

    def __init__(self, infobip: HeldInfobip) -> None:
        self._infobip, self._received = infobip, b""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._infobip.opened(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._infobip.closed(self._transport)

    def data_received(self, received: bytes) -> None:
        self._received += received
        while (end := self._received.find(b"\r\n\r\n") + 4) > 3:
            head = self._received[:end]
            length = re.search(rb"(?i)\ncontent-length: *([0-9]+)", head)
            whole = end + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            content, self._received = self._received[end:whole], self._received[whole:]
            self._infobip.take(self._transport, head.split()[1].decode(), content)


def pin_of(phone: str) -> str:
    """Return the PIN of the phone."""
    return phone[-6:]
