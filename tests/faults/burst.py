"""Sends thousands of requests at once, from one thread with an event loop."""

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple, Self, TypeVar

PATIENCE = 60.0  # seconds for one response of the service
HEAD = (
    "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
)

_T = TypeVar("_T")


class Answer(NamedTuple):
    """A response of the service, the seconds that it took, and its time (monotonic clock). Status 0 is no response."""

    status: int
    body: dict[str, Any]
    took: float
    at: float


class Loop:
    """A thread with an event loop, which runs during the block."""

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.begin(_cancel_others()).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    def begin(self, task: Coroutine[Any, Any, _T]) -> "Future[_T]":
        """Run the task on the loop."""
        return asyncio.run_coroutine_threadsafe(task, self.loop)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class ApiClients(Loop):
    """Clients that send their requests all at once, each on a connection of its own."""

    def post(self, port: int, path: str, bodies: Iterable[dict[str, str]]) -> "Future[list[Answer]]":
        """Post the bodies. The result has the responses in the same order; `answered` counts them until then."""
        self._answered = 0
        return self.begin(self._all(port, path, list(bodies)))

    def send(self, port: int, phones: Iterable[str]) -> "Future[list[Answer]]":
        """Request a PIN for each phone."""
        return self.post(port, "/send-otp", ({"phoneNumber": phone} for phone in phones))

    def answered(self) -> int:
        """Return how many of the requests have a response."""
        return self._answered

    async def _all(self, port: int, path: str, bodies: list[dict[str, str]]) -> list[Answer]:
        opening = asyncio.Semaphore(100)  # fewer connections than may wait for a listener at a time
        return await asyncio.gather(*(self._post(opening, port, path, body) for body in bodies))

    async def _post(self, opening: asyncio.Semaphore, port: int, path: str, body: dict[str, str]) -> Answer:
        content = json.dumps(body).encode()
        async with opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started = time.monotonic()
        writer.write(HEAD.format(path, len(content)).encode() + content)
        try:
            received = await asyncio.wait_for(reader.read(), PATIENCE)
        except OSError:  # TimeoutError is an OSError
            received = b""
        finally:
            writer.close()
        self._answered += 1
        return _read(received, started)


def _read(received: bytes, started: float) -> Answer:
    head, _, text = received.partition(b"\r\n\r\n")
    at = time.monotonic()
    return Answer(int(head.split()[1]), json.loads(text), at - started, at) if text else Answer(0, {}, at - started, at)
