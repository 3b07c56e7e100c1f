"""The Redis script of a recipient's limits must decide as a plain model of its rules does, over random histories."""

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

SECOND = 1_000_000  # in microseconds, as are all times here
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
TO = Recipient.at("+14155552671")
PEOPLE = [Requester(f"192.0.2.{n}") for n in range(6)]
# Time between two sends: a burst, a steady trickle, or hours apart. In each, the clock is also put back.
PAUSES = {
    "burst": [31 * SECOND, 40 * SECOND, 5 * MINUTE, 50 * MINUTE],
    "trickle": [10 * MINUTE, 20 * MINUTE, 59 * MINUTE, HOUR, 61 * MINUTE],
    "days": [31 * SECOND, MINUTE, HOUR, 7 * HOUR, 2 * DAY],
}


class Verdict(NamedTuple):
    """Milliseconds to wait, 0 if the send is allowed; and the rule that refuses: 0 cooldown, 1 limit, 2 share."""

    wait: int
    rule: int


@dataclass
class PlainRecipient:
    """The rules, as simple and slow as possible: a list of sends, and every count computed anew."""

    limits: list[limits.RateLimitItem]
    share: float
    trusted_by: Requester | None = None
    sends: list[tuple[int, Requester]] = field(default_factory=list)  # oldest first

    def reserve(self, now: int, requester: Requester) -> Verdict:
        """Count the send if there is room."""
        all_sends = [at for at, _ in self.sends]
        own = [at for at, sender in self.sends if sender == requester]
        is_known = requester == self.trusted_by
        limit = self.wait(now, all_sends, 1, own if is_known else all_sends)
        share = 0 if is_known else self.wait(now, own, self.share, own)
        if limit or share:
            return Verdict(math.ceil(max(limit, share) / 1000), 1 if limit else 2)
        self.sends.append((now, requester))
        return Verdict(0, 0)

    def wait(self, now: int, times: list[int], part: float, since: list[int]) -> int:
        """Return the wait until all windows have room; if verified, at most until an hour after the last of `since`."""
        waits = [self.wait_for(now, times, math.ceil(limit.amount * part), limit.get_expiry()) for limit in self.limits]
        if self.trusted_by is None:
            return max(waits)
        return max(0, min(max(waits), max(since, default=now - HOUR) + HOUR - now))

    def wait_for(self, now: int, times: list[int], amount: int, period: int) -> int:
        ends = sorted(at + period * SECOND for at in times if now - at < period * SECOND)
        return ends[-amount] - now if len(ends) >= amount else 0


class Driver:
    """Runs the script with a clock that tests can move: the times that it has stored are moved the other way."""

    def __init__(self, database: redis.Redis, gate: RecipientLimit) -> None:
        self.database, self._gate, self._moved, self._ended = database, gate, 0, 0

    def reserve(self, send_request: SendRequest) -> tuple[int, Verdict]:
        """Return the time of the send and the verdict of the script."""
        (command,) = self._gate.reserve(send_request)
        wait, rule, now, _ = self.database.execute_command(*in_full(command))
        return now + self._moved, Verdict(wait, rule)

    def release(self, send_request: SendRequest) -> None:
        for command in self._gate.release(send_request):
            self.database.execute_command(*in_full(command))

    def move(self, by: int) -> None:
        """Let this many microseconds pass, and end the cooldown."""
        self._moved += by
        for key in self.database.scan_iter("*}:sent*"):
            for place, at in enumerate(self.database.lrange(key, 0, -1)):
                self.database.lset(key, place, str(int(at) - by))
        self.database.delete(keys.cooldown(TO))


def allowed(source: random.Random) -> tuple[list[limits.RateLimitItem], str]:
    """Return random limits and a share, small enough that each limit is reached."""
    texts = ["3 per hour, 5 per day", "2 per 10 minutes", "4 per 3 hours; 1 per minute", "6 per day, 2 per 2 hours"]
    return limits.parse_many(source.choice(texts)), source.choice(["0.4", "0.1", "0.67", "1"])


@pytest.mark.parametrize("rhythm", PAUSES)
@pytest.mark.parametrize("seed", range(4))
def test_the_script_decides_as_the_model_does(database: redis.Redis, rhythm: str, seed: int) -> None:
    source = random.Random(f"{rhythm} {seed}")
    windows, share = allowed(source)
    plain = PlainRecipient(windows, float(share))
    driver = Driver(database, RecipientLimit(lambda _: 30, windows, Decimal(share)))
    rules, last = set(), 0
    for _ in range(150):
        driver.move(source.choice([*PAUSES[rhythm], -source.randrange(10 * MINUTE)]) + source.randrange(SECOND))
        if source.random() < 0.1:
            plain.trusted_by = source.choice([None, *PEOPLE[:2], Requester("elsewhere")])
            trust(database, plain.trusted_by)
        send_request = SendRequest(TO, source.choice(PEOPLE[: source.choice([1, 3, 6])]))
        now, verdict = driver.reserve(send_request)
        assert now > last, "also where the clock was put back"
        assert verdict == plain.reserve(now, send_request.requester)
        rules.add(verdict.rule)
        if verdict.wait == 0:
            assert 0 < driver.reserve(SendRequest(TO, source.choice(PEOPLE)))[1].wait <= 30_000
            if source.random() < 0.2:
                driver.release(send_request)
                plain.sends.pop()
            else:
                last = now
        driver.release(SendRequest(TO, source.choice(PEOPLE)))  # without a reservation, this changes nothing
    assert rules >= {0, 1}


def trust(database: redis.Redis, requester: Requester | None) -> None:
    database.delete(keys.trusted(TO))
    if requester:
        database.set(keys.trusted(TO), requester.fingerprint, ex=86400)


def sent_in_a_day(driver: Driver, people: list[Requester]) -> int:
    """Return how many sends are allowed in a day on which each requester sends every five minutes."""
    sent = 0
    for _ in range(24 * 12):
        for requester in people:
            sent += driver.reserve(SendRequest(TO, requester))[1].wait == 0
        driver.move(5 * MINUTE)
    return sent


@pytest.fixture
def driver(database: redis.Redis) -> Driver:
    """The script with the default limits."""
    return Driver(database, RecipientLimit(lambda _: 30, limits.parse_many("3 per hour, 5 per day"), Decimal("0.4")))


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
def test_the_worst_day(driver: Driver, trusted_by: Requester | None, people: list[Requester], most: int) -> None:
    """docs/money.md gives these numbers."""
    trust(driver.database, trusted_by)
    assert sent_in_a_day(driver, people) == most


def test_the_limit_at_infobip_allows_the_worst_day(driver: Driver) -> None:
    """The owner, too, sends whenever possible. Infobip's limit for a phone number must allow all of these sends."""
    trust(driver.database, PEOPLE[0])
    (day,) = limits.parse_many("5 per day")
    assert 40 < sent_in_a_day(driver, PEOPLE[::-1]) <= most_of(day) == 53


def test_all_keys_expire_with_the_longest_window(driver: Driver) -> None:
    driver.reserve(SendRequest(TO, PEOPLE[0]))
    for key in (keys.sends(TO), keys.sends_by(TO, PEOPLE[0])):
        assert 86399 <= driver.database.ttl(key) <= 86401
        assert (driver.database.memory_usage(key) or 0) < 150
