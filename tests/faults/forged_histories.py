"""Forged journals, with which the checker is tested."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.checker import Rules, check
from tests.faults.journal import Event, Verb, Verdict

PHONE, OTHER = "+4915110000000", "+4915110000001"


class Forged:
    """A journal written by hand, `step` seconds from one event to the next."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.at, self.step = 0.0, 1.0

    @contextmanager
    def client(
        self,
        verb: Verb,
        status: int,
        *,
        phone: str = PHONE,
        pin: str = "",
        of: str = "",
        named: str = "",
        given: str = "",
    ) -> Iterator[None]:
        """The client `of` sends a request; then the block runs; then the client gets its response."""
        at = self._next()
        call = round(at * 1000)
        self.events.append(Event(at, "asked", call, verb, phone, pin, client=of, verification_id=named))
        yield
        self.events.append(Event(self._next(), "answered", call, status=status, verification_id=given))

    def refused(self, verb: Verb, status: int, pin: str = "", *, of: str = "", named: str = "") -> None:
        """The service refuses without a request to the upstream."""
        with self.client(verb, status, pin=pin, of=of, named=named):
            pass

    def sms(self, pin: str, *, phone: str = PHONE) -> None:
        """The upstream gets a send and issues `pin`, with the id `id-<pin>`."""
        call = self._next()
        self.events.append(Event(call, "received", round(call * 1000), "send", phone))
        self.events.append(Event(self._next(), "replied", round(call * 1000), None, "", pin, f"id-{pin}", 200))

    def sms_again(self, pin: str) -> None:
        """The upstream gets a resend."""
        call = self._next()
        self.events.append(Event(call, "received", round(call * 1000), "resend", pin_id=f"id-{pin}"))
        self.events.append(Event(self._next(), "replied", round(call * 1000), None, "", pin, f"id-{pin}", 200))

    def no_sms(self, status: int) -> None:
        call = self._next()
        self.events.append(Event(call, "received", round(call * 1000), "send", PHONE))
        self.events.append(Event(self._next(), "replied", round(call * 1000), status=status))

    def gone(self, verb: Verb, of: str, pin: str = "") -> None:
        """The upstream no longer knows the PIN `of`."""
        call = self._next()
        self.events.append(Event(call, "received", round(call * 1000), verb, "", pin, f"id-{of}"))
        self.events.append(Event(self._next(), "replied", round(call * 1000), status=404, verdict="gone"))

    def guess(self, pin: str, of: str, status: int = 200) -> None:
        """The upstream gets a guess at the PIN `of`, and checks it."""
        call = self._next()
        result: Verdict = "right" if pin == of else "wrong"
        verdict: Verdict = result if status == 200 else ""
        self.events.append(Event(call, "received", round(call * 1000), "verify", "", pin, f"id-{of}"))
        self.events.append(Event(self._next(), "replied", round(call * 1000), status=status, verdict=verdict))

    def sent(self, pin: str, *, status: int = 200, phone: str = PHONE, of: str = "") -> None:
        """A send gets a response; its verification id is `of-<pin>`."""
        with self.client("send", status, phone=phone, of=of, given=f"of-{pin}" if status == 200 else ""):
            self.sms(pin, phone=phone)

    def resent(self, pin: str, *, of: str = "", named: str = "") -> None:
        with self.client("resend", 200, of=of, named=named):
            self.sms_again(pin)

    def verified(self, pin: str, *, phone: str = PHONE, of: str = "", named: str = "") -> None:
        with self.client("verify", 200, phone=phone, pin=pin, of=of, named=named):
            self.guess(pin, of=pin)

    def tried(self, pin: str, at: str, *, status: int = 200, of: str = "", named: str = "") -> None:
        """A guess at the PIN `at` gets `status` from the upstream; the client gets a refusal."""
        with self.client("verify", 401, pin=pin, of=of, named=named):
            self.guess(pin, of=at, status=status)

    def tried_twice(self, pin: str, at: str) -> None:
        """The upstream fails, and fails again when the service repeats the request."""
        with self.client("verify", 504, pin=pin):
            self.guess(pin, of=at, status=500)
            self.guess(pin, of=at, status=500)

    def forgot(self, phone: str = "") -> None:
        at = self._next()
        self.events.append(Event(at, "forgot", round(at * 1000), phone=phone))

    def aged(self, seconds: float, phone: str = PHONE) -> None:
        at = self._next()
        self.events.append(Event(at, "aging", round(at * 1000), phone=phone, seconds=seconds))
        self.events.append(Event(self._next(), "aged", round(at * 1000), phone=phone, seconds=seconds))

    def _next(self) -> float:
        self.at += self.step
        return self.at

    def found(self, **rules: object) -> list[str]:
        given = {"windows": (), **rules}
        return [finding.rule for finding in check(self.events, Rules(**given))]  # type: ignore[arg-type]
