"""The journal of what happened, in order: each request of a client or at the upstream, and its response.

Each part records its own actions. A client records a request before the bytes leave, and a response after they came;
the upstream records a response before the bytes leave. So the order in the journal is the real order.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Verb = Literal["send", "resend", "verify"]
Kind = Literal["asked", "answered", "received", "replied", "forgot", "aging", "aged"]
Verdict = Literal["", "right", "wrong", "gone"]


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is in seconds of the monotonic clock; `call` joins a request and its response.

    asked     `client` sends a request: `verb`, `phone`, for a verify `pin`; `verification_id` if it names one
    answered  it gets `status` and `code`, of a send `verification_id`; status 0 is no response (a timeout, for example)
    received  the upstream has read a whole request: `verb`, for a send `phone`, for others `pin_id`, for a verify `pin`
    replied   it responds with `status` (0: no valid response); if an SMS goes out, whatever the response, `pin_id` and
              `pin`; `verdict` if it checks the PIN or does not know it ("gone")
    forgot    Redis was emptied on purpose; with `phone`, only its data
    aging     the cooldown and the PINs of `phone` are about to be made older, by `seconds`
    aged      they are older now
    """

    at: float
    kind: Kind
    call: int
    verb: Verb | None = None
    phone: str = ""
    pin: str = ""
    pin_id: str = ""
    status: int = 0
    code: str = ""
    client: str = ""
    verification_id: str = ""
    verdict: Verdict = ""
    seconds: float = 0.0


class Journal:
    """An append-only list of events, for any number of threads."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._calls = itertools.count(1)
        self._lock = threading.Lock()

    def ask(self, verb: Verb, phone: str, pin: str = "", client: str = "", verification_id: str = "") -> int:
        """Record that a client is about to send a request. Return the call, for `answer`."""
        return self._add("asked", 0, verb, phone=phone, pin=pin, client=client, verification_id=verification_id)

    def answer(self, call: int, status: int, code: str = "", verification_id: str = "") -> None:
        """Record that the client has the whole response; status 0 if there is none."""
        self._add("answered", call, status=status, code=code, verification_id=verification_id)

    def receive(self, verb: Verb, phone: str = "", pin_id: str = "", pin: str = "") -> int:
        """Record that the upstream has read a whole request. Return the call, for `reply`."""
        return self._add("received", 0, verb, phone=phone, pin_id=pin_id, pin=pin)

    def reply(self, call: int, status: int, pin_id: str = "", pin: str = "", verdict: Verdict = "") -> None:
        """Record that the upstream is about to respond. If an SMS goes out, `pin` is its PIN, whatever the response."""
        self._add("replied", call, status=status, pin_id=pin_id, pin=pin, verdict=verdict)

    def forget(self, phone: str = "") -> None:
        """Record that Redis was emptied on purpose: all of it, or the data of one phone."""
        self._add("forgot", 0, phone=phone)

    @contextmanager
    def age(self, phone: str, seconds: float) -> Iterator[None]:
        """Record that the block makes the cooldown and the PINs of `phone` older; if it fails, they may be older."""
        call = self._add("aging", 0, phone=phone, seconds=seconds)
        yield
        self._add("aged", call, phone=phone, seconds=seconds)

    def events(self) -> list[Event]:
        """Return all events until now, in order."""
        with self._lock:
            return self._events.copy()

    def _add(self, kind: Kind, call: int, verb: Verb | None = None, **fields: str | float) -> int:
        with self._lock:
            call = call or next(self._calls)
            self._events.append(Event(time.monotonic(), kind, call, verb, **fields))  # type: ignore[arg-type]
            return call
