"""Journals written by hand, to try the checker with."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.checker import Rules, check
from tests.faults.journal import Event, Verb

PHONE, OTHER = "+4915110000000", "+4915110000001"


class Forged:
    """A journal written by hand, `step` seconds from one event to the next."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.at, self.step = 0.0, 1.0

    @contextmanager
    def client(self, verb: Verb, status: int, *, phone: str = PHONE, pin: str = "") -> Iterator[None]:
        """A client asks, what is inside happens, and it is answered."""
        call = self._next()
        self.events.append(Event(call, "asked", round(call * 1000), verb, phone, pin))
        yield
        self.events.append(Event(self._next(), "answered", round(call * 1000), status=status))

    def refused(self, verb: Verb, status: int, pin: str = "") -> None:
        with self.client(verb, status, pin=pin):
            pass

    def sms(self, pin: str, *, phone: str = PHONE) -> None:
        """The upstream gets a send and issues `pin`, with the id `id-<pin>`."""
        call = self._next()
        self.events.append(Event(call, "received", round(call * 1000), "send", phone))
        self.events.append(Event(self._next(), "replied", round(call * 1000), None, "", pin, f"id-{pin}", 200))

    def no_sms(self, status: int) -> None:
        call = self._next()
        self.events.append(Event(call, "received", round(call * 1000), "send", PHONE))
        self.events.append(Event(self._next(), "replied", round(call * 1000), status=status))

    def guess(self, pin: str, of: str, status: int = 200) -> None:
        """The upstream gets a guess at the PIN `of`."""
        call = self._next()
        self.events.append(Event(call, "received", round(call * 1000), "verify", "", pin, f"id-{of}"))
        self.events.append(Event(self._next(), "replied", round(call * 1000), status=status))

    def sent(self, pin: str, *, status: int = 200, phone: str = PHONE) -> None:
        with self.client("send", status, phone=phone):
            self.sms(pin, phone=phone)

    def verified(self, pin: str, *, phone: str = PHONE) -> None:
        with self.client("verify", 200, phone=phone, pin=pin):
            self.guess(pin, of=pin)

    def _next(self) -> float:
        self.at += self.step
        return self.at

    def found(self, **rules: object) -> list[str]:
        given = {"windows": (), **rules}
        return [finding.rule for finding in check(self.events, Rules(**given))]  # type: ignore[arg-type]
