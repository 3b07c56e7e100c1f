"""Checks a journal against the promises. Each rule returns what broke it; a clean history returns nothing.

As in any check of a history with concurrent calls, a call took effect at some moment between its request and its
response, and one whose client got no outcome (503, 504, no response) took effect then, later, or never. Only what no
choice of those moments explains is a finding.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tests.faults.history import LATE, Call, History
from tests.faults.journal import Event

REPEATED_WITHIN = 2.0  # seconds after a 5xx in which the same guess at the same PIN counts as its one repetition
NO_VERDICT = range(400, 500)  # statuses without a verdict: a refusal, a throttle (with 400, too), an unknown PIN
ROUNDED = 0.05  # seconds; Redis and the services count in milliseconds, each by its own clock


@dataclass(frozen=True)
class Rules:
    """The settings that the services ran with.

    `attempts` is the number of guesses for a PIN, `failures` that of wrong guesses in a row for a phone. A phone has up
    to `side_by_side` PINs, each for `lifetime` seconds. `windows` are (SMS to one phone, seconds). A run is shorter
    than the window of the failures.
    """

    attempts: int = 5
    failures: int = 10
    side_by_side: int = 3
    lifetime: float = 600.0
    windows: tuple[tuple[int, float], ...] = ((1, 30.0), (5, 86400.0))


class Finding(NamedTuple):
    """A broken rule (a key of RULES), and the phone or the pinId concerned."""

    rule: str
    about: str


def check(events: Iterable[Event], rules: Rules) -> list[Finding]:
    """Return every violation of a rule in `events`."""
    history = History(events)
    return [Finding(name, about) for name, broken in RULES.items() for about in broken(history, rules)]


def _duplicates(history: History, _: Rules) -> list[str]:
    """Return the phones that got an SMS that no accepted call explains: a second one, or one without any request."""
    return [sms.phone for messages in history.messages.values() for sms in messages if sms not in history.sender]


def _unsent(history: History, _: Rules) -> list[str]:
    """Return the phones of sends and resends that got a 200 without an SMS."""
    senders = set(history.sender.values())
    confirmed = history.of_clients("send", 200) + history.of_clients("resend", 200)
    return [call.phone for call in confirmed if call not in senders]


def _double_successes(history: History, _: Rules) -> list[str]:
    """Return the PINs that were accepted more than once."""
    accepted = Counter((call.phone, call.pin) for call in history.of_clients("verify", 200))
    twice = [pin for pin, times in accepted.items() if times > 1]
    return [history.by_pin[pin].issued[0] if pin in history.by_pin else pin[0] for pin in twice]


def _stale_successes(history: History, rules: Rules) -> list[str]:
    """Return the phones for which a PIN was accepted that was not issued for them, or that had ended.

    A PIN ends with its lifetime, and when enough newer ones were confirmed; without an id, one newer PIN of the same
    client is enough.
    """
    return [
        call.phone
        for call in history.of_clients("verify", 200)
        if not (send := _sent(call, history)) or _has_ended(call, send, history, rules)
    ]


def _foreign_successes(history: History, _: Rules) -> list[str]:
    """Return the phones whose PIN was accepted from another client than the one that requested it."""
    return [call.phone for call, send in _successes(history) if history.is_foreign(call, send)]


def _misnamed_successes(history: History, _: Rules) -> list[str]:
    """Return the phones whose PIN was accepted with a verification id that is not its own."""
    return [call.phone for call, send in _successes(history) if history.is_misnamed(call, send)]


def _successes(history: History) -> list[tuple[Call, Call]]:
    found = [(call, _sent(call, history)) for call in history.of_clients("verify", 200)]
    return [(call, send) for call, send in found if send]


def _sent(call: Call, history: History) -> Call | None:
    """Return the send of the PIN that `call` tries."""
    send = history.by_pin.get((call.phone, call.pin))
    return send if send and send.start < call.end else None


def _has_ended(call: Call, send: Call, history: History, rules: Rules) -> bool:
    return (
        history.is_superseded(call, send)
        or _age(call, send, history) > rules.lifetime + LATE
        or _gave_way(call, send, history, rules)
    )


def _age(call: Call, send: Call, history: History) -> float:
    """Return how many seconds the PIN of `send` had certainly lived when `call` began."""
    saved = max((sender.done for sender in history.senders(send)), default=math.inf)
    agings = [aging for aging in history.agings if aging.phone == send.phone]
    passed = sum(aging.seconds for aging in agings if saved < aging.start and aging.end < call.start)
    return call.start - send.start + passed


def _gave_way(call: Call, send: Call, history: History, rules: Rules) -> bool:
    if _was_emptied(history, send.phone, send.start, call.start):
        return False
    requests = [*history.guesses[send.phone], *history.messages[send.phone]]
    ended = [one for one in requests if one.verdict in ("right", "gone") and one.start < call.start]
    room = {one.pin_id for one in ended} - {send.issued[0]}  # they may have made room before the newer ones came
    # PINs of other clients displace at most each other: a client that has two loses one of its own.
    newer = [one for one in history.newer(call, send) if not history.is_foreign(one, send)]
    return len(newer) - len(room) >= rules.side_by_side


def _was_emptied(history: History, phone: str, since: float, until: float) -> bool:
    return any(since < at < until for at, of in history.forgot if of in ("", phone))


def _stray_guesses(history: History, rules: Rules) -> list[str]:
    """Return the PINs with a forbidden guess: by another client, with a wrong id, or after the end of the PIN."""
    guesses = [(guess, history.by_pin_id.get(guess.pin_id)) for guess in history.upstream if guess.verb == "verify"]
    return [guess.pin_id for guess, send in guesses if send and _is_stray(guess, send, history, rules)]


def _is_stray(guess: Call, send: Call, history: History, rules: Rules) -> bool:
    calls = history.guessers(guess)
    if any(call.status == 200 for call in calls):
        return False  # a success, which other rules check
    return all(
        history.is_foreign(call, send) or history.is_misnamed(call, send) or _has_ended(call, send, history, rules)
        for call in calls
    )


def _excess_guesses(history: History, rules: Rules) -> list[str]:
    """Return the PINs that had too many guesses; a guess that is repeated after a 5xx counts once."""
    with_verdict = [call for call in history.upstream if call.verb == "verify" and call.status not in NO_VERDICT]
    by_pin_id: dict[str, list[Call]] = defaultdict(list)
    for guess in with_verdict:
        by_pin_id[guess.pin_id].append(guess)
    return [pin_id for pin_id, guesses in by_pin_id.items() if _fewest(guesses) > rules.attempts]


def _fewest(requests: Iterable[Call]) -> int:
    """Return the smallest number of guesses that explains these requests, as some may be repetitions."""
    alike: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for request in sorted(requests, key=lambda call: call.start):
        alike[request.pin_id, request.pin].append(request)
    return sum(map(_fewest_alike, alike.values()))


def _fewest_alike(requests: list[Call]) -> int:
    """Return the same for requests with the same PIN.

    It is unknown which requests raced, so each verdict is a repetition if it can be one, and so is every other one of
    the remaining 5xx.
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


def _excess_failures(history: History, rules: Rules) -> list[str]:
    """Return the phones with too many wrong guesses, at all of their PINs since the last success.

    Each PIN may have one guess more. Guesses without a verdict do not count.
    """
    return [
        phone
        for phone, guesses in history.guesses.items()
        if any(_is_excess(row, rules) for row in _between_clears(phone, guesses, history))
    ]


def _between_clears(phone: str, guesses: list[Call], history: History) -> Iterable[list[Call]]:
    """Group the guesses by the moments at which the count may have restarted; leave out those that race with one."""
    clears = [(at, at) for at, of in history.forgot if of in ("", phone)]
    clears += [(guess.start, _end_of(guess, history)) for guess in guesses if guess.verdict == "right"]
    rows: dict[int, list[Call]] = defaultdict(list)
    for guess in guesses:
        counted = min((call.start for call in history.guessers(guess)), default=guess.start)
        if not any(start <= guess.start and counted <= end for start, end in clears):
            rows[sum(end < counted for _, end in clears)].append(guess)
    return rows.values()


def _end_of(guess: Call, history: History) -> float:
    """Return when the result of the guess was certainly recorded."""
    return max((call.done for call in history.guessers(guess)), default=guess.end)


def _is_excess(guesses: list[Call], rules: Rules) -> bool:
    wrong = [guess.pin_id for guess in guesses if guess.verdict == "wrong"]
    return len(wrong) > rules.failures + len(set(wrong))


def _refused_owners(history: History, rules: Rules) -> list[str]:
    """Return the phones whose right PIN was refused although it was valid.

    Its client had neither used it nor used up its guesses; other clients must not be able to prevent its success.
    """
    refused = [(call, _sent(call, history)) for call in history.of_clients("verify", 401)]
    return [call.phone for call, send in refused if send and _is_good(call, send, history, rules)]


def _is_good(call: Call, send: Call, history: History, rules: Rules) -> bool:
    owner, *others = history.senders(send) or [call]
    return (
        not others
        and (owner.status, owner.client) == (200, call.client)
        and owner.end < call.start
        and (owner.given == call.named if call.named else _is_newest(call, owner, history))
        and _is_untouched(call, owner, send, history, rules)
        and _has_guesses(call, history, rules)
    )


def _is_newest(call: Call, owner: Call, history: History) -> bool:
    sends = [one for one in history.client_calls[call.phone] if (one.verb, one.client) == ("send", call.client)]
    others = [one for one in sends if one is not owner and one.start < call.end and one.status not in NO_VERDICT]
    return all(one.end < owner.start and one.status == 200 for one in others)


def _is_untouched(call: Call, owner: Call, send: Call, history: History, rules: Rules) -> bool:
    """Return whether the PIN cannot have expired, been displaced, forgotten, used or dropped."""
    agings = [one for one in history.agings if one.phone == call.phone and one.end > owner.start]
    age = call.end - owner.start + sum(one.seconds for one in agings if one.start < call.end)
    messages = [one for one in history.messages[call.phone] if one.start < call.end]
    about = [one for one in (*messages, *history.guesses[call.phone]) if one.pin_id == send.issued[0]]
    return (
        age < rules.lifetime - LATE
        and not _was_emptied(history, call.phone, owner.start, call.end)
        and sum(one.verb == "send" for one in messages) <= rules.side_by_side
        and not any(one.start < call.end and (one.verdict == "gone" or one.pin == call.pin) for one in about)
    )


def _has_guesses(call: Call, history: History, rules: Rules) -> bool:
    """Return whether other verifies cannot have used up the guesses. Each counts at most once, at its client's PINs."""
    client_calls = [one for one in history.client_calls[call.phone] if one.verb == "verify" and one.start < call.end]
    counted = [one for one in client_calls if one is not call and history.may_count(one)]
    own = [one for one in counted if one.client == call.client]
    return len(own) < rules.attempts and len(counted) < rules.failures


def _too_many_sms(history: History, rules: Rules) -> list[str]:
    """Return the phones that got too many SMS in a window."""
    return [phone for phone, messages in history.messages.items() if _is_over(phone, messages, history, rules)]


def _is_over(phone: str, messages: list[Call], history: History, rules: Rules) -> bool:
    # The first was allowed after its client sent the request, the last before it reached the upstream.
    counted = [message for message in messages if message.issued[0]]
    starts = [history.sender.get(message, message).start for message in counted]
    anew = [at for at, of in history.forgot if of in ("", phone)]
    anew += [aging.start for aging in history.agings if aging.phone == phone]
    return any(
        counted[last].start - starts[last - amount] < period - ROUNDED
        and not any(starts[last - amount] < at < counted[last].start for at in anew)
        for amount, period in rules.windows
        for last in range(amount, len(counted))
    )


def _bugs(history: History, _: Rules) -> list[str]:
    """Return the phones whose client got a 500."""
    return [call.phone for call in history.clients if call.status == 500]


RULES: dict[str, Callable[[History, Rules], list[str]]] = {
    "duplicate SMS": _duplicates,
    "confirmed without an SMS": _unsent,
    "double success": _double_successes,
    "stale success": _stale_successes,
    "wrong client": _foreign_successes,
    "wrong id": _misnamed_successes,
    "stray guess": _stray_guesses,
    "excess guess": _excess_guesses,
    "excess failures": _excess_failures,
    "right PIN refused": _refused_owners,
    "SMS above a limit": _too_many_sms,
    "500": _bugs,
}
