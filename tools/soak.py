"""The long run: `python -m tools.soak [--write docs/reliability.md]`. SOAK=0.01 makes it a hundredth as long.

Two replicas on one Redis, in front of a provider, and clients that send and verify while the upstream fails, Redis
fails and workers are killed, and that race each other. All of it is in one journal, which is checked at the end.
"""

import argparse
import itertools
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests.faults.checker import check
from tests.faults.client import KEYS, Client, Reply
from tests.faults.infobip_faults import Fault, resends, sends, verifies
from tests.faults.journal import Verb
from tests.faults.redis_faults import REDIS_FAULTS, RedisFault, replies
from tests.faults.redis_proxy import RedisProxy
from tests.faults.replicas import RULES, Replicas
from tests.faults.report import table, write

AMOUNTS = {"upstream faults": 3000, "races of 32": 1000, "process kills": 200, "Redis faults": 500}
CROWD = 32
BACKGROUND_CLIENTS = 8  # clients that send and verify while something else breaks
BATCH = 10  # faults between two looks at how far it is
FAULTS: dict[Verb, list[Fault]] = {
    "send": [*sends().values()],
    "resend": [*resends().values()],
    "verify": [*verifies().values()],
}


class Arrived(NamedTuple):
    """A PIN that a client app had sent, and got a verification id for."""

    client: str
    value: str
    verification_id: str


class Soak:
    """Breaks what is running, and counts in `done` how often it did."""

    def __init__(self, replicas: Replicas, redis_faults: Sequence[RedisFault]) -> None:
        self._replicas = replicas
        self._redis_faults = redis_faults
        self._numbers = itertools.count(10000000)
        self._crowd = ThreadPoolExecutor(2 * CROWD)
        self.done: Counter[str] = Counter()

    def run(self, scale: float) -> None:
        """Every phase, `scale` times as long as in the long form."""
        phases = (self._break_the_upstream, self._race, self._kill, self._break_redis)
        with self._crowd:
            for (name, amount), phase in zip(AMOUNTS.items(), phases, strict=True):
                self._until(name, max(1, round(amount * scale)), phase)

    def _until(self, name: str, amount: int, phase: Callable[[int], int]) -> None:
        while self.done[name] < amount:
            self.done[name] += phase(min(BATCH, amount - self.done[name]))
            sys.stderr.write(f"{datetime.now():%H:%M:%S}  {self.done[name]:>4} of {amount} {name}\n")

    def _break_the_upstream(self, amount: int) -> int:
        """Every other request is met by a fault."""
        met = itertools.count()

        def choose(verb: Verb) -> Fault | None:
            if random.random() < 0.5:
                return None
            next(met)
            return random.choice(FAULTS[verb])

        self._replicas.provider.choose = choose
        for story in [self._crowd.submit(self._story) for _ in range(min(amount, BATCH) * 3)]:
            story.result()
        self._replicas.provider.choose = lambda _: None
        return next(met)

    def _race(self, amount: int) -> int:
        for _ in range(0, amount, 2):
            phone = self._phone()
            sent = self._at_once(lambda n, phone=phone: self._client(n).send(phone))  # type: ignore[misc]
            assert sent[200], sent  # whether it is only one, the checker says
            pin = self._replicas.provider.pin(phone)
            guess = random.choice([pin, "999999"])
            judged = self._at_once(lambda n, of=(phone, guess): self._client(n).verify(*of))  # type: ignore[misc]
            assert judged[200] or guess != pin, judged
        return amount + amount % 2

    def _at_once(self, ask: Callable[[int], Reply]) -> Counter[int]:
        return Counter(reply.status for reply in self._crowd.map(ask, range(CROWD)))

    def _kill(self, amount: int) -> int:
        with self._others():
            for _ in range(amount):
                self._replicas.kill_a_worker()
        return amount

    def _break_redis(self, amount: int) -> int:
        with self._others():
            for fault in random.choices(self._redis_faults, k=amount):
                with fault(self._replicas):
                    time.sleep(random.uniform(0.1, 0.6))
                self._replicas.all_is_up()
        return amount

    @contextmanager
    def _others(self) -> Iterator[None]:
        """Clients go on meanwhile, with an upstream that takes its time, so that something is always in flight."""
        over = threading.Event()

        def go_on() -> None:
            while not over.is_set():
                self._story()

        self._replicas.provider.delay = 0.05
        others = [self._crowd.submit(go_on) for _ in range(BACKGROUND_CLIENTS)]
        try:
            yield
        finally:
            over.set()
            for other in others:
                other.result()
            self._replicas.provider.delay = 0.0

    def _story(self) -> None:
        """Two client apps have PINs sent to a phone. Each tries the other's, and then its own, by two at once."""
        phone, pins = self._phone(), list[Arrived]()
        for _ in range(random.choice([2, 3, 4])):
            pins += self._send(phone, self._any())
            self._any().send(phone)
            self._any().verify(phone, "999999", random.choice(["", *[pin.verification_id for pin in pins]]))
            self._replicas.age(phone, random.choice([31, 31, 31, 310]))
        if pins:
            self._any().resend(phone, random.choice(pins).verification_id)
        for pin in random.sample(pins, len(pins)):
            named = random.choice(["", pin.verification_id, pin.verification_id])
            for name in sorted(KEYS, key=pin.client.__eq__):
                self._try_by_two(name, phone, pin.value, named)

    def _send(self, phone: str, client: Client) -> list[Arrived]:
        reply = client.send(phone)
        arrived = self._replicas.provider.pins.get(phone, [])
        return [Arrived(client.name, arrived[-1][1], reply.verification_id)] if reply.status == 200 else []

    def _try_by_two(self, name: str, phone: str, pin: str, named: str) -> None:
        second = threading.Thread(target=self._client(1, name).verify, args=(phone, pin, named))
        second.start()
        self._client(0, name).verify(phone, pin, named)
        second.join()

    def _any(self) -> Client:
        """Either client app, at either replica."""
        return self._client(random.randrange(2), random.choice([*KEYS]))

    def _client(self, number: int, name: str = "shop") -> Client:
        clients = self._replicas.clients[name]
        return clients[number % len(clients)]

    def _phone(self) -> str:
        return f"+49151{next(self._numbers)}"


def soak(directory: Path, scale: float) -> tuple[str, bool]:
    """Run it in an empty directory. Returns the table, and whether nothing was found."""
    with RedisProxy() as proxy, Replicas.started(directory, 2, proxy) as replicas:
        run = Soak(replicas, [*REDIS_FAULTS, *replies(proxy)])
        run.run(scale)
    events = replicas.journal.events()
    findings = check(events, RULES)
    return table(events, findings, run.done), not findings


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    path: Path | None = parser.parse_args().write
    with tempfile.TemporaryDirectory() as directory:
        text, clean = soak(Path(directory), float(os.environ.get("SOAK", "1")))
    sys.stdout.write(f"{text}\n")
    if path:
        write(text, path)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
