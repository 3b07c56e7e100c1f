"""What happened, in order: every question of a client and its answer, every request at the upstream and its reply.

Whoever plays a part writes down what it does itself, a question before the bytes leave and an answer after they came
(the upstream: a reply before the bytes leave), so that what the journal has in order was in that order.
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
    replied   it says `status` (0: nothing that could be one); where an SMS goes out, said or not, `pin_id` and `pin`;
              `verdict` where it judges the PIN, or says that it knows none ("gone")
    forgot    Redis was emptied on purpose; with `phone`, only what it knew of that one
    aging     the cooldown and the PINs of `phone` are about to be made older, by `seconds`
    aged      they are
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
    """Append-only, from as many threads as there are."""

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
        """The upstream is about to reply; with the PIN in the SMS, if one goes out, whatever the reply says of it."""
        self._add("replied", call, status=status, pin_id=pin_id, pin=pin, verdict=verdict)

    def forget(self, phone: str = "") -> None:
        """Redis was emptied on purpose: of everything, or of one phone."""
        self._add("forgot", 0, phone=phone)

    @contextmanager
    def age(self, phone: str, seconds: float) -> Iterator[None]:
        """The block lets `seconds` pass for the cooldown and the PINs of `phone`. Where it fails, nobody knows."""
        call = self._add("aging", 0, phone=phone, seconds=seconds)
        yield
        self._add("aged", call, phone=phone, seconds=seconds)

    def events(self) -> list[Event]:
        """All of them until now, in order."""
        with self._lock:
            return self._events.copy()

    def _add(self, kind: Kind, call: int, verb: Verb | None = None, **said: str | float) -> int:
        with self._lock:
            call = call or next(self._calls)
            self._events.append(Event(time.monotonic(), kind, call, verb, **said))  # type: ignore[arg-type]
            return call
