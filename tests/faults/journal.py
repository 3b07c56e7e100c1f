"""What happened, in order: every question of a client and its answer, every request at the upstream and its reply.

Each part records its own actions: a question before the bytes leave and an answer after they came (the upstream: a
reply before the bytes leave), so that the order in the journal is the real order.
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
    """`at` is in seconds of the monotonic clock; `call` joins what was asked and answered, or received and replied.

    asked     `client` asks the service: `verb`, `phone`, for a verify `pin`; `verification_id` if it names one
    answered  it gets `status` and `code`, of a send `verification_id`; status 0 is no answer (time over, say)
    received  the upstream has read a whole request: `verb`, for a send `phone`, for others `pin_id`, for a verify `pin`
    replied   it answers `status` (0: no valid answer); if an SMS goes out, whatever the answer, `pin_id` and `pin`;
              `verdict` if it judges the PIN or does not know it ("gone")
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
        """A client is about to ask the service. Returns the call, for `answer`."""
        return self._add("asked", 0, verb, phone=phone, pin=pin, client=client, verification_id=verification_id)

    def answer(self, call: int, status: int, code: str = "", verification_id: str = "") -> None:
        """The client has the whole answer; status 0 if there is none."""
        self._add("answered", call, status=status, code=code, verification_id=verification_id)

    def receive(self, verb: Verb, phone: str = "", pin_id: str = "", pin: str = "") -> int:
        """The upstream has read a whole request. Returns the call, for `reply`."""
        return self._add("received", 0, verb, phone=phone, pin_id=pin_id, pin=pin)

    def reply(self, call: int, status: int, pin_id: str = "", pin: str = "", verdict: Verdict = "") -> None:
        """The upstream is about to reply. If an SMS goes out, `pin` is its PIN, whatever the reply says."""
        self._add("replied", call, status=status, pin_id=pin_id, pin=pin, verdict=verdict)

    def forget(self, phone: str = "") -> None:
        """Redis was emptied on purpose: all of it, or the data of one phone."""
        self._add("forgot", 0, phone=phone)

    @contextmanager
    def age(self, phone: str, seconds: float) -> Iterator[None]:
        """The block lets `seconds` pass for the cooldown and the PINs of `phone`. If it fails, they may have aged."""
        call = self._add("aging", 0, phone=phone, seconds=seconds)
        yield
        self._add("aged", call, phone=phone, seconds=seconds)

    def events(self) -> list[Event]:
        """Return all events until now, in order."""
        with self._lock:
            return self._events.copy()

    def _add(self, kind: Kind, call: int, verb: Verb | None = None, **said: str | float) -> int:
        with self._lock:
            call = call or next(self._calls)
            self._events.append(Event(time.monotonic(), kind, call, verb, **said))  # type: ignore[arg-type]
            return call
