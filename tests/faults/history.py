"""A journal read back: calls instead of events, and which send at the upstream came from which client's."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.journal import Event, Verb

LATE = 5.0  # seconds that a request may reach the upstream after its client was told 503 or 504, or nothing
SURE = (200, 502)  # answers that only come once the upstream has replied


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A question and its answer; `end` is infinite where none was written down.

    `issued` is the pinId and the PIN of the SMS that went out at the upstream; two empty strings if none did.
    """

    start: float
    end: float
    verb: Verb | None
    phone: str
    pin: str
    pin_id: str
    status: int
    issued: tuple[str, str]


class History:
    """The calls of a journal, and `sender`: of a send at the upstream, the client's call that it came from.

    Who sent what is not in the journal. It is matched by phone and time, so that as many sends as possible have a
    sender of their own, and as many clients that were told 200 as possible have a send.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        by_call: dict[int, list[Event]] = defaultdict(list)
        self.forgot: list[tuple[float, str]] = []
        for event in events:
            if event.kind == "forgot":
                self.forgot.append((event.at, event.phone))
            else:
                by_call[event.call].append(event)
        calls = [(events[0].kind, _call(*events)) for events in by_call.values()]
        self.clients = [call for kind, call in calls if kind == "asked"]
        self.upstream = [call for kind, call in calls if kind == "received"]
        self.sends = _by_phone(call for call in self.upstream if call.verb == "send")
        self.sender = self._matched()

    def of_clients(self, verb: Verb, status: int) -> list[Call]:
        """The calls of clients that got `status`."""
        return [call for call in self.clients if (call.verb, call.status) == (verb, status)]

    def _matched(self) -> dict[Call, Call]:
        asked = _by_phone(call for call in self.clients if call.verb == "send")
        senders: dict[Call, Call] = {}
        for phone, sends in self.sends.items():
            calls = asked.get(phone, [])
            confirmed = [call for call in calls if call.status == 200]
            sender = _match(confirmed, sends, _may_have_sent, {})
            rest = [send for send in sends if send not in sender]
            sent = {call: send for send, call in sender.items()}
            sent = _match(rest, calls, lambda send, call: _may_have_sent(call, send), sent)
            senders |= {send: call for call, send in sent.items()}
        return senders


def _may_have_sent(call: Call, send: Call) -> bool:
    """Whether the client's `call` explains the upstream's `send`."""
    if call.status == 200:
        told = bool(send.issued[0])
    elif call.status == 429:
        told = 400 <= send.status < 500  # the upstream's throttle; the service's own refusal sends nothing
    else:
        told = call.status == 0 or call.status >= 500
    return told and call.start <= send.start <= call.end + (0 if call.status in SURE else LATE)


def _match(
    left: Iterable[Call], right: Sequence[Call], fits: Callable[[Call, Call], bool], partner: dict[Call, Call]
) -> dict[Call, Call]:
    """Kuhn's matching: find partners for as many of `left` as can have one; who has one already keeps having one."""

    def find(one: Call, seen: set[Call]) -> bool:
        for other in right:
            if other in seen or not fits(one, other):
                continue
            seen.add(other)
            if other not in partner or find(partner[other], seen):
                partner[other] = one
                return True
        return False

    for one in left:
        find(one, set())
    return partner


def _call(first: Event, last: Event | None = None) -> Call:
    said: Any = last or Event(math.inf, "answered", first.call)
    issued = (said.pin_id, said.pin)
    return Call(first.at, said.at, first.verb, first.phone, first.pin, first.pin_id, said.status, issued)


def _by_phone(calls: Iterable[Call]) -> dict[str, list[Call]]:
    phones: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.start):
        phones[call.phone].append(call)
    return phones
