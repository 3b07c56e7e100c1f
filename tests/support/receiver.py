"""A receiver of webhooks, on a real port."""

import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"


class Delivery(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self) -> Any:
        """Return the body's JSON, after the official library has checked the signature."""
        return Webhook(SECRET).verify(self.body, self.headers)


class Receiver:
    """Responds with the next of `statuses`, then with 204; a 302 leads to /elsewhere. While held, it is silent."""

    def __enter__(self) -> "Receiver":
        self.deliveries: list[Delivery] = []
        self.statuses: deque[int] = deque()
        self._answered = 0
        self._open = threading.Event()
        self._open.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self._server.shutdown()
        self._server.server_close()

    def hold(self) -> None:
        self._open.clear()

    def holds(self) -> bool:
        """Return whether it is held and has not responded yet."""
        return not self._answered and not self._open.is_set()

    def types(self) -> list[str]:
        return [delivery.verified()["type"] for delivery in self.deliveries]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                receiver.deliveries.append(Delivery(self.path, dict(self.headers.items()), body))
                receiver._open.wait(60)
                receiver._answered += 1
                self.send_response(receiver.statuses.popleft() if receiver.statuses else 204)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815  the base class requires this name

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def until(condition: Callable[[], object]) -> None:
    """Wait for the condition; fail after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
