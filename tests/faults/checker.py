"""Holds a journal against the promises. Each rule returns what broke it; a clean history returns nothing.

As in any check of a history with concurrent calls, a call took effect at some moment between its question and its
answer, and one whose outcome its client was not told (503, 504, no answer) took effect then, later, or never. Only what
no choice of those moments explains is a finding.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tests.faults.history import Call, History
from tests.faults.journal import Event

REPEATED_WITHIN = 2.0  # seconds after a 5xx in which the same guess at the same PIN is its one repetition
UNJUDGED = range(400, 500)  # replies to a verify that judge nothing: a refusal, a throttle (with 400, too), no such PIN
ROUNDED = 0.05  # seconds: Redis and the services count in milliseconds of clocks of their own


@dataclass(frozen=True)
class Rules:
    """The settings that the services ran with: `windows` are (SMS to one phone, in so many seconds)."""

    attempts: int = 5
    windows: tuple[tuple[int, float], ...] = ((1, 30.0), (5, 86400.0))


class Finding(NamedTuple):
    """A broken rule (a key of RULES), and who is concerned: a phone, or a pinId."""

    rule: str
    about: str


def check(events: Iterable[Event], rules: Rules) -> list[Finding]:
    """Everything in `events` that breaks a rule."""
    history = History(events)
    return [Finding(name, about) for name, broken in RULES.items() for about in broken(history, rules)]


def _duplicates(history: History, _: Rules) -> list[str]:
    """An SMS that no accepted send accounts for: it is another send's second one."""
    return [send.phone for sends in history.sends.values() for send in sends if send not in history.sender]


def _unsent(history: History, _: Rules) -> list[str]:
    """A send that was answered 200, and that no PIN was issued for."""
    senders = set(history.sender.values())
    return [call.phone for call in history.of_clients("send", 200) if call not in senders]


def _double_successes(history: History, _: Rules) -> list[str]:
    """A PIN that was accepted more than once."""
    pin_ids = {(send.phone, send.issued[1]): send.issued[0] for send in history.upstream if send.issued[0]}
    accepted = Counter((call.phone, call.pin) for call in history.of_clients("verify", 200))
    return [pin_ids.get(pin, pin[0]) for pin, times in accepted.items() if times > 1]


def _stale_successes(history: History, _: Rules) -> list[str]:
    """A PIN that was accepted for a phone that it was not issued for, or after a newer one was confirmed."""
    return [call.phone for call in history.of_clients("verify", 200) if _is_stale(call, history)]


def _is_stale(success: Call, history: History) -> bool:
    sends = history.sends.get(success.phone, [])
    issued = [n for n, send in enumerate(sends) if send.issued[1] == success.pin and send.start < success.end]
    if not issued:
        return True
    newer = [history.sender[send] for send in sends[issued[-1] + 1 :] if send in history.sender]
    return any(call.status == 200 and call.end < success.start for call in newer)


def _excess_guesses(history: History, rules: Rules) -> list[str]:
    """A PIN that was guessed at more often than it may be; a guess repeated after a 5xx is one."""
    guesses: dict[str, dict[str, list[Call]]] = defaultdict(lambda: defaultdict(list))
    for call in sorted(history.upstream, key=lambda call: call.start):
        if call.verb == "verify" and call.status not in UNJUDGED:
            guesses[call.pin_id][call.pin].append(call)
    return [pin_id for pin_id, pins in guesses.items() if sum(map(_fewest, pins.values())) > rules.attempts]


def _fewest(requests: list[Call]) -> int:
    """How many guesses at least made these requests, all with the same PIN, when some may be others' repetitions.

    Who raced whom is not known, so each verdict is a repetition if it can be one, and of the 5xx left every other one.
    """
    failed = [request for request in requests if request.status >= 500]
    repetitions = 0
    for verdict in (request for request in requests if request.status < 500):
        if before := [one for one in failed if _may_repeat(verdict, one)]:
            failed.remove(before[-1])
            repetitions += 1
    while len(failed) > 1:
        first = failed.pop(0)
        if _may_repeat(failed[0], first):
            failed.pop(0)
            repetitions += 1
    return len(requests) - repetitions


def _may_repeat(second: Call, first: Call) -> bool:
    return first.start < second.start < first.end + REPEATED_WITHIN


def _too_many_sms(history: History, rules: Rules) -> list[str]:
    """A phone that got more SMS in a window than it may."""
    return [phone for phone, sends in history.sends.items() if _is_over(phone, sends, history, rules)]


def _is_over(phone: str, sends: list[Call], history: History, rules: Rules) -> bool:
    # The first was let through after its client asked, the last before it reached the upstream.
    counted = [send for send in sends if send.issued[0]]
    starts = [history.sender.get(send, send).start for send in counted]
    forgot = [at for at, of in history.forgot if of in ("", phone)]
    return any(
        counted[last].start - starts[last - amount] < period - ROUNDED
        and not any(starts[last - amount] < at < counted[last].start for at in forgot)
        for amount, period in rules.windows
        for last in range(amount, len(counted))
    )


def _bugs(history: History, _: Rules) -> list[str]:
    """A client that was answered 500."""
    return [call.phone for call in history.clients if call.status == 500]


RULES: dict[str, Callable[[History, Rules], list[str]]] = {
    "duplicate SMS": _duplicates,
    "confirmed without an SMS": _unsent,
    "double success": _double_successes,
    "stale success": _stale_successes,
    "excess guess": _excess_guesses,
    "SMS above a limit": _too_many_sms,
    "500": _bugs,
}
