"""What happened, in order: every question of a client and its answer, every request at the upstream and its reply.

Whoever plays a part writes down what it does itself, a question before the bytes leave and an answer after they came
(the upstream: a reply before the bytes leave), so that what the journal has in order was in that order.
"""

import itertools
import threading
import time
from dataclasses import dataclass
from typing import Literal

Verb = Literal["send", "verify"]
Kind = Literal["asked", "answered", "received", "replied", "forgot"]


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is in seconds of the monotonic clock; `call` joins what was asked and answered, or received and replied.

    asked     a client asks the service: `verb`, `phone`, for a verify `pin`
    answered  it gets `status` and `code`; status 0 is no answer (connection lost, time over)
    received  the upstream has read a whole request: `verb`, for a send `phone`, for a verify `pin_id` and `pin`
    replied   it says `status` (0: nothing that could be one); where an SMS goes out, said or not, `pin_id` and `pin`
    forgot    Redis was emptied on purpose; with `phone`, only what it knew of that one
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


class Journal:
    """Append-only, from as many threads as there are."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._calls = itertools.count(1)
        self._lock = threading.Lock()

    def asked(self, verb: Verb, phone: str, pin: str = "") -> int:
        """A client is about to ask the service. Returns the call, for `answered`."""
        return self._add("asked", 0, verb, phone=phone, pin=pin)

    def answered(self, call: int, status: int, code: str = "") -> None:
        """The client has the whole answer; status 0 if there is none."""
        self._add("answered", call, status=status, code=code)

    def received(self, verb: Verb, phone: str = "", pin_id: str = "", pin: str = "") -> int:
        """The upstream has read a whole request. Returns the call, for `replied`."""
        return self._add("received", 0, verb, phone=phone, pin_id=pin_id, pin=pin)

    def replied(self, call: int, status: int, pin_id: str = "", pin: str = "") -> None:
        """The upstream is about to reply; with the PIN in the SMS, if one goes out, whatever the reply says of it."""
        self._add("replied", call, status=status, pin_id=pin_id, pin=pin)

    def forgot(self, phone: str = "") -> None:
        """Redis was emptied on purpose: of everything, or of one phone."""
        self._add("forgot", 0, phone=phone)

    def events(self) -> list[Event]:
        """All of them until now, in order."""
        with self._lock:
            return self._events.copy()

    def _add(self, kind: Kind, call: int, verb: Verb | None = None, **said: str | int) -> int:
        with self._lock:
            call = call or next(self._calls)
            self._events.append(Event(time.monotonic(), kind, call, verb, **said))  # type: ignore[arg-type]
            return call
