"""Reads a journal back: it joins the events to calls, and finds the clients' calls that caused those at the upstream.

The journal does not contain which call caused which. That is inferred from phone and time, so a PIN may have several
possible senders.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from tests.faults.journal import Event, Verb, Verdict

LATE = 5.0  # seconds in which a request may reach the upstream after its client got 503 or 504, or nothing
UNSURE = (0, 500, 503, 504)  # statuses of responses that may come before everything is done


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A request and its response; `end` is infinite if no response was recorded.

    A request at the upstream has the phone of its PIN. `issued` is the pinId and the PIN of the SMS that went out
    there, or two empty strings. `named` is the verification id of the request, `given` that of the response.
    """

    start: float
    end: float
    verb: Verb | None
    phone: str
    client: str
    pin: str
    pin_id: str
    named: str
    status: int
    issued: tuple[str, str]
    given: str
    verdict: Verdict

    @property
    def done(self) -> float:
        """The time from which a client's call has no more effects."""
        return self.end + (LATE if self.status in UNSURE else 0)


class Aging(NamedTuple):
    """The time of `phone` was moved by `seconds` between `start` and `end`; if `end` is infinite, perhaps not."""

    phone: str
    start: float
    end: float
    seconds: float


class History:
    """The calls of a journal.

    `sender` maps messages at the upstream to the clients' calls that they came from. They are matched by phone and
    time, so that as many messages as possible have a sender of their own, and as many clients with a 200 as possible
    have a message.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        by_call: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            by_call[event.call].append(event)
        of_pins = {last.pin_id: first.phone for first, last in _pairs(by_call, "received") if first.verb == "send"}
        self.clients = [_call(*pair, of_pins) for pair in _pairs(by_call, "asked")]
        self.upstream = [_call(*pair, of_pins) for pair in _pairs(by_call, "received")]
        self.forgot = [(event.at, event.phone) for event, _ in _pairs(by_call, "forgot")]
        self.agings = [Aging(one.phone, one.at, end.at, one.seconds) for one, end in _pairs(by_call, "aging")]
        self.client_calls = _by_phone(self.clients)
        self.messages = _by_phone(call for call in self.upstream if call.verb != "verify")
        self.guesses = _by_phone(call for call in self.upstream if call.verb == "verify")
        issued = [call for call in self.upstream if call.verb == "send" and call.issued[0]]
        self.by_pin = {(send.phone, send.issued[1]): send for send in issued}
        self.by_pin_id = {send.issued[0]: send for send in issued}
        self.by_verification_id = {call.given: call for call in self.clients if call.given}
        self.senders = cache(self._senders)
        self.sender = self._matched()

    def of_clients(self, verb: Verb, status: int) -> list[Call]:
        """Return the calls of clients that got `status`."""
        return [call for call in self.clients if (call.verb, call.status) == (verb, status)]

    def guessers(self, guess: Call) -> list[Call]:
        """Return the clients' calls that the upstream's `guess` may have come from."""
        calls = [
            call for call in self.client_calls.get(guess.phone, []) if call.verb == "verify" and call.pin == guess.pin
        ]
        return [call for call in calls if _is_during(call, guess)]

    def may_count(self, call: Call) -> bool:
        """Return whether the verify may have counted as a guess: it reached the upstream, or that is unknown."""
        guesses = [guess for guess in self.guesses.get(call.phone, []) if guess.pin == call.pin]
        return call.status in UNSURE or any(_is_during(call, guess) for guess in guesses)

    def is_foreign(self, call: Call, send: Call) -> bool:
        """Return whether the PIN of `send` was sent for another client than that of `call`."""
        senders = self.senders(send)
        return bool(senders) and all(sender.client != call.client for sender in senders)

    def is_misnamed(self, call: Call, send: Call) -> bool:
        """Return whether `call` names a verification id, and not that of `send`."""
        named = self.by_verification_id.get(call.named)
        return bool(call.named) and (not named or named not in self.senders(send) or named.client != call.client)

    def is_superseded(self, call: Call, send: Call) -> bool:
        """Return whether `call` names no id, and a newer PIN than that of `send` was confirmed to its client."""
        return not call.named and any(newer.client == call.client for newer in self.newer(call, send))

    def newer(self, call: Call, send: Call) -> list[Call]:
        """Return the sends to the phone of `send` that began after it and were confirmed before `call` began."""
        client_calls = [
            other for other in self.client_calls.get(send.phone, []) if (other.verb, other.status) == ("send", 200)
        ]
        return [other for other in client_calls if send.start < other.start and other.end < call.start]

    def _senders(self, send: Call) -> list[Call]:
        """Return the clients' calls that may have made `send`; if it alone explains confirmed ones, only those."""
        calls = [call for call in self.client_calls.get(send.phone, []) if self._may_have_sent(call, send)]
        others = [message for message in self.messages[send.phone] if message is not send]
        sure = [call for call in calls if call.status == 200 and not any(self._may_have_sent(call, o) for o in others)]
        return sure or calls

    def _matched(self) -> dict[Call, Call]:
        senders: dict[Call, Call] = {}
        for phone, messages in self.messages.items():
            calls = [call for call in self.client_calls.get(phone, []) if call.verb != "verify"]
            confirmed = [call for call in calls if call.status == 200]
            sender = _match(confirmed, messages, self._may_have_sent, {})
            rest = [message for message in messages if message not in sender]
            sent = {call: message for message, call in sender.items()}
            sent = _match(rest, calls, lambda message, call: self._may_have_sent(call, message), sent)
            senders |= {message: call for call, message in sent.items()}
        return senders

    def _may_have_sent(self, call: Call, message: Call) -> bool:
        """Return whether the client's `call` explains the upstream's `message`."""
        if call.verb != message.verb or not _is_during(call, message) or not _may_follow_from(call, message):
            return False
        send = self.by_pin_id.get(message.pin_id) if call.verb == "resend" else None
        return not send or not (
            self.is_foreign(call, send) or self.is_misnamed(call, send) or self.is_superseded(call, send)
        )


def _is_during(call: Call, request: Call) -> bool:
    """Return whether the client's `call` may have made the upstream's `request` at that time."""
    return call.start <= request.start <= call.done


def _may_follow_from(call: Call, message: Call) -> bool:
    """Return whether the client's response may follow from the upstream's."""
    if call.status == 200:
        return bool(message.issued[0])
    if call.status == 401:
        return message.verdict == "gone"  # the service's own refusal sends nothing
    if call.status == 429:
        return 400 <= message.status < 500  # the upstream's throttle
    return call.status == 0 or call.status >= 500


def _match(
    left: Iterable[Call], right: Sequence[Call], fits: Callable[[Call, Call], bool], partner: dict[Call, Call]
) -> dict[Call, Call]:
    """Kuhn's matching: find partners for as many of `left` as can have one; existing partners are kept."""

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


def _pairs(by_call: dict[int, list[Event]], kind: str) -> list[tuple[Event, Event]]:
    """Return each event of this kind, and the event that ends it."""
    begun = [(events[0], events[1:]) for events in by_call.values() if events[0].kind == kind]
    return [(first, end[0] if end else Event(math.inf, "answered", first.call)) for first, end in begun]


def _call(first: Event, last: Event, of_pins: dict[str, str]) -> Call:
    return Call(
        start=first.at,
        end=last.at,
        verb=first.verb,
        phone=first.phone or of_pins.get(first.pin_id, ""),
        client=first.client,
        pin=first.pin,
        pin_id=first.pin_id,
        named=first.verification_id,
        status=last.status,
        issued=(last.pin_id, last.pin),
        given=last.verification_id,
        verdict=last.verdict,
    )


def _by_phone(calls: Iterable[Call]) -> dict[str, list[Call]]:
    phones: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.start):
        phones[call.phone].append(call)
    return phones
