"""The script of a recipient's limits against its rules, written plainly, over histories that nobody thought of."""

import math
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import limits
import pytest
import redis

from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.scripts import in_full
from otp.requester import Requester
from otp.send_limits.recipient_limit import RecipientLimit, most_of
from otp.send_request import SendRequest

SECOND = 1_000_000  # in microseconds, as all times here
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
TO = Recipient.at("+14155552671")
PEOPLE = [Requester(f"192.0.2.{n}") for n in range(6)]
# Rhythms: in one go; a steady trickle; hours apart. A clock that is put back goes with each.
PAUSES = {
    "burst": [31 * SECOND, 40 * SECOND, 5 * MINUTE, 50 * MINUTE],
    "trickle": [10 * MINUTE, 20 * MINUTE, 59 * MINUTE, HOUR, 61 * MINUTE],
    "days": [31 * SECOND, MINUTE, HOUR, 7 * HOUR, 2 * DAY],
}


class Verdict(NamedTuple):
    """Milliseconds to wait, 0 if it may; and which rule refuses: 0 the cooldown, 1 the limit, 2 the share."""

    wait: int
    rule: int


@dataclass
class PlainRecipient:
    """As slow and plain as it can be written: a list of sends, and every count anew at each moment."""

    limits: list[limits.RateLimitItem]
    share: float
    trusted_by: Requester | None = None
    sends: list[tuple[int, Requester]] = field(default_factory=list)  # the oldest first

    def reserve(self, now: int, who: Requester) -> Verdict:
        """Count if there is room."""
        all_of_it = [at for at, _ in self.sends]
        own = [at for at, asked in self.sends if asked == who]
        is_known = who == self.trusted_by
        limit = self.wait(now, all_of_it, 1, own if is_known else all_of_it)
        share = 0 if is_known else self.wait(now, own, self.share, own)
        if limit or share:
            return Verdict(math.ceil(max(limit, share) / 1000), 1 if limit else 2)
        self.sends.append((now, who))
        return Verdict(0, 0)

    def wait(self, now: int, times: list[int], part: float, since: list[int]) -> int:
        """Until all windows have room; at most until an hour after the last of `since`, if it is trusted."""
        waits = [self.wait_for(now, times, math.ceil(limit.amount * part), limit.get_expiry()) for limit in self.limits]
        if self.trusted_by is None:
            return max(waits)
        return max(0, min(max(waits), max(since, default=now - HOUR) + HOUR - now))

    def wait_for(self, now: int, times: list[int], amount: int, period: int) -> int:
        ends = sorted(at + period * SECOND for at in times if now - at < period * SECOND)
        return ends[-amount] - now if len(ends) >= amount else 0


class Played:
    """The script, with a clock that can be moved: by moving all that it has written the other way."""

    def __init__(self, database: redis.Redis, gate: RecipientLimit) -> None:
        self.database, self._gate, self._moved, self._ended = database, gate, 0, 0

    def reserve(self, send_request: SendRequest) -> tuple[int, Verdict]:
        """When it was, and what it said."""
        (command,) = self._gate.reserve(send_request)
        wait, rule, now, _ = self.database.execute_command(*in_full(command))
        return now + self._moved, Verdict(wait, rule)

    def release(self, send_request: SendRequest) -> None:
        for command in self._gate.release(send_request):
            self.database.execute_command(*in_full(command))

    def move(self, by: int) -> None:
        """Let so many microseconds pass, and the cooldown."""
        self._moved += by
        for key in self.database.scan_iter("*}:sent*"):
            for place, at in enumerate(self.database.lrange(key, 0, -1)):
                self.database.lset(key, place, str(int(at) - by))
        self.database.delete(keys.cooldown(TO))


def allowed(source: random.Random) -> tuple[list[limits.RateLimitItem], str]:
    """Small limits, so that each of them is met."""
    texts = ["3 per hour, 5 per day", "2 per 10 minutes", "4 per 3 hours; 1 per minute", "6 per day, 2 per 2 hours"]
    return limits.parse_many(source.choice(texts)), source.choice(["0.4", "0.1", "0.67", "1"])


@pytest.mark.parametrize("rhythm", PAUSES)
@pytest.mark.parametrize("seed", range(4))
def test_the_script_decides_as_the_rules_do(database: redis.Redis, rhythm: str, seed: int) -> None:
    source = random.Random(f"{rhythm} {seed}")
    windows, share = allowed(source)
    plain = PlainRecipient(windows, float(share))
    played = Played(database, RecipientLimit(lambda _: 30, windows, Decimal(share)))
    rules, last = set(), 0
    for _ in range(150):
        played.move(source.choice([*PAUSES[rhythm], -source.randrange(10 * MINUTE)]) + source.randrange(SECOND))
        if source.random() < 0.1:
            plain.trusted_by = source.choice([None, *PEOPLE[:2], Requester("elsewhere")])
            trust(database, plain.trusted_by)
        send_request = SendRequest(TO, source.choice(PEOPLE[: source.choice([1, 3, 6])]))
        now, said = played.reserve(send_request)
        assert now > last, "also where the clock was put back"
        assert said == plain.reserve(now, send_request.requester)
        rules.add(said.rule)
        if said.wait == 0:
            assert 0 < played.reserve(SendRequest(TO, source.choice(PEOPLE)))[1].wait <= 30_000
            if source.random() < 0.2:
                played.release(send_request)
                plain.sends.pop()
            else:
                last = now
        played.release(SendRequest(TO, source.choice(PEOPLE)))  # one that holds nothing gives nothing back
    assert rules >= {0, 1}


def trust(database: redis.Redis, who: Requester | None) -> None:
    database.delete(keys.trusted(TO))
    if who:
        database.set(keys.trusted(TO), who.fingerprint, ex=86400)


def sent_in_a_day(played: Played, people: list[Requester]) -> int:
    """Each of them asks every five minutes."""
    sent = 0
    for _ in range(24 * 12):
        for who in people:
            sent += played.reserve(SendRequest(TO, who))[1].wait == 0
        played.move(5 * MINUTE)
    return sent


@pytest.fixture
def played(database: redis.Redis) -> Played:
    """With the usual limits."""
    return Played(database, RecipientLimit(lambda _: 30, limits.parse_many("3 per hour, 5 per day"), Decimal("0.4")))


@pytest.mark.parametrize(
    ("trusted_by", "people", "most"),
    [
        (None, PEOPLE[:1], 2),
        (None, PEOPLE, 5),
        (Requester("elsewhere"), PEOPLE[:1], 25),
        (Requester("elsewhere"), PEOPLE, 27),
        (PEOPLE[0], PEOPLE[1:], 27),
    ],
    ids=["one", "many", "one, trusted", "many, trusted", "all others, trusted"],
)
def test_the_worst_day(played: Played, trusted_by: Requester | None, people: list[Requester], most: int) -> None:
    """The numbers that docs/money.md gives."""
    trust(played.database, trusted_by)
    assert sent_in_a_day(played, people) == most


def test_the_worst_day_of_all_fits_into_the_account(played: Played) -> None:
    """The owner asks, too, whenever that is possible: Infobip is to let all of it through."""
    trust(played.database, PEOPLE[0])
    (day,) = limits.parse_many("5 per day")
    assert 40 < sent_in_a_day(played, PEOPLE[::-1]) <= most_of(day) == 53


def test_everything_ends_with_the_longest_window(played: Played) -> None:
    played.reserve(SendRequest(TO, PEOPLE[0]))
    for key in (keys.sends(TO), keys.sends_by(TO, PEOPLE[0])):
        assert 86399 <= played.database.ttl(key) <= 86401
        assert (played.database.memory_usage(key) or 0) < 150
