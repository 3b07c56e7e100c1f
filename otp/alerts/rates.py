"""What is alarming only when it happens often: counted in the worker, summed up over all of them in Redis."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from otp.alerts.alert import Alert
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.scripts import Command, Script

MINUTES = 5  # the one that runs, and those before it
MOST_REFUSALS = 20
FEWEST_VERDICTS = 100
MOST_WRONG = 30  # percent

GUARD_REFUSAL, LOCKED_OUT, RIGHT, WRONG = NAMES = ("guard_refusal", "locked_out", "right_pin", "wrong_pin")

_ADD = Script("counts_add")


class Rates:
    """How often something happened in the last minutes. Counting touches nothing but this worker's memory."""

    def __init__(self, redis: RedisClient, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._counts: Counter[str] = Counter()

    def count(self, name: str) -> None:
        """Something in NAMES has happened once more."""
        self._counts[name] += 1

    def flush(self) -> list[Alert]:
        """Share what was counted, in one round trip; returns what is alarming in what all workers have counted.

        Raises:
            StoreUnavailable: Redis failed, and what was counted is forgotten.
        """
        counts, self._counts = self._counts, Counter()
        minute = int(self._clock() // 60)
        added = [part for pair in counts.items() for part in pair]
        add: list[Command] = [_ADD([keys.counts(minute)], *added)] if counts else []
        read = [("HMGET", keys.counts(one), *NAMES) for one in range(minute - MINUTES + 1, minute + 1)]
        replies = self._redis.run(*add, *read)[-MINUTES:]
        by_name = zip(NAMES, zip(*replies, strict=True), strict=True)
        return list(_judged({name: sum(int(count or 0) for count in minutes) for name, minutes in by_name}))


def _judged(counted: Mapping[str, int]) -> Iterator[Alert]:
    refusals, wrong, verdicts = counted[GUARD_REFUSAL], counted[WRONG], counted[WRONG] + counted[RIGHT]
    if refusals > MOST_REFUSALS:
        sentence = f"{refusals} sends were refused in {MINUTES} minutes because they look like SMS pumping."
        yield Alert("guard.refusals", sentence, {"refusals": refusals, "minutes": MINUTES})
    if locked_out := counted[LOCKED_OUT]:
        sentence = f"{locked_out} guesses were refused in {MINUTES} minutes: too many at the same recipient had failed."
        yield Alert("guesses.locked_out", sentence, {"guesses": locked_out, "minutes": MINUTES})
    if verdicts >= FEWEST_VERDICTS and wrong * 100 > verdicts * MOST_WRONG:
        sentence = f"{wrong} of {verdicts} PINs were wrong in {MINUTES} minutes: somebody may be guessing."
        yield Alert("pins.wrong", sentence, {"wrong": wrong, "verdicts": verdicts, "minutes": MINUTES})
