"""An Infobip that sends and checks real PINs, has no limits, fails as scripted, and keeps a journal.

It takes any number of guesses, accepts a PIN any number of times, and accepts older ones as well, so every refusal
comes from the service. If the outcome of a send is unknown, the SMS has gone out.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.faults.infobip_faults import Fault
from tests.faults.journal import Journal, Verb
from tests.support.upstream import SENT, Act, Upstream, answer

Chooser = Callable[[Verb], Fault | None]
Hook = Callable[[], object]


class Provider(Upstream):
    """Each request meets the next of the `faults`, or else the result of `choose`; None is no fault.

    One of the `hooks` runs for each request, after its response is decided and before it is sent; `delay` is in
    seconds.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.pins: dict[str, list[tuple[str, str]]] = {}  # by phone: pinId and PIN of its SMS, oldest first
        self.by_id: dict[str, str] = {}

    def reset(self) -> None:
        super().reset()
        self.faults: deque[Fault | None] = deque()
        self.hooks: deque[Hook] = deque()
        self.choose: Chooser = lambda _: None
        self.delay = 0.0

    def pin(self, phone: str) -> str:
        """Return the newest PIN that went out to `phone`."""
        return self.pins[phone][-1][1]

    def _usual(self, path: str, payload: dict[str, Any]) -> Act:
        *_, pin_id, last = path.split("/")
        verb: Verb = "verify" if last == "verify" else "resend" if last == "resend" else "send"
        with self._lock:
            fault = self.faults.popleft() if self.faults else self.choose(verb)
            hook = self.hooks.popleft() if self.hooks else None
        if verb == "verify":
            act = self._check(pin_id, payload["pin"], fault)
        else:
            act = self._resend(pin_id, fault) if verb == "resend" else self._send(payload["to"], fault)
        if hook:
            hook()
        time.sleep(self.delay)
        return act

    def _send(self, phone: str, fault: Fault | None) -> Act:
        call = self._journal.receive("send", phone=phone)
        return self._message(call, fault, lambda: self._issue(phone))

    def _resend(self, pin_id: str, fault: Fault | None) -> Act:
        call = self._journal.receive("resend", pin_id=pin_id)
        return self._message(call, fault, lambda: (pin_id, self.by_id[pin_id]))

    def _message(self, call: int, fault: Fault | None, issue: Callable[[], tuple[str, str]]) -> Act:
        if fault and fault.given_back:
            self._journal.reply(call, fault.status, verdict="gone" if fault.gone else "")
            return fault.act
        pin_id, pin = issue()
        self._journal.reply(call, fault.status if fault else 200, pin_id, pin)
        return fault.act if fault else answer({**SENT, "pinId": pin_id})

    def _issue(self, phone: str) -> tuple[str, str]:
        """Issue a PIN. The PINs of one phone differ, and a PIN plus one is never another."""
        with self._lock:
            pin_id = f"{next(self._numbers):032X}"
            issued = self.pins.setdefault(phone, [])
            pin = f"{(len(issued) * 7 + 1) * 100 % 1_000_000:06}"
            issued.append((pin_id, pin))
            self.by_id[pin_id] = pin
        return pin_id, pin

    def _check(self, pin_id: str, pin: str, fault: Fault | None) -> Act:
        call = self._journal.receive("verify", pin_id=pin_id, pin=pin)
        if fault:
            self._journal.reply(call, fault.status, verdict="gone" if fault.gone else "")
            return fault.act
        right = self.by_id.get(pin_id) == pin
        self._journal.reply(call, 200, verdict="right" if right else "wrong")
        return answer({"pinId": pin_id, "verified": right, **({} if right else {"pinError": "WRONG_PIN"})})
