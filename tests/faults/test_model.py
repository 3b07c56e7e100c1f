"""Compares the service with a small model of it: they agree on all requests, under all faults."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.faults.checker import check
from tests.faults.client import KEYS, Client, Reply
from tests.faults.fuzzing import examples
from tests.faults.infobip_faults import Fault, resends, sends, verifies
from tests.faults.replicas import RULES, Replicas

QUICK = ("reset", "hang up", "500 json", "503 empty", "garbage", "html", "truncated json", "429", "401", "404 html")
SENDS, RESENDS, VERIFIES = sends(), resends(), verifies()
SEND_FAULTS = st.sampled_from([*[None] * 10, *(SENDS[name] for name in (*QUICK, "not sent"))])
RESEND_FAULTS = st.sampled_from([*[None] * 10, *(RESENDS[name] for name in (*QUICK, "not sent", *["404"] * 4))])
DROPS = ("unknown pin", "unknown pin of v1", "no guess left", "its time is over")
VERIFY_FAULTS = st.sampled_from([*[None] * 16, *(VERIFIES[name] for name in (*QUICK, "truthy", *DROPS))])
PHONES, REPLICAS, CLIENTS = st.integers(0, 1), st.integers(0, 1), st.sampled_from([*KEYS])
BACK = st.sampled_from([0, 0, 0, 1, 1, 2, 3])  # the newest PIN, the one before it, ...
NAMED = st.sampled_from(["", "its", "its", "a newer one's", "unknown"])
RIGHT = st.sampled_from([True, True, True, False])
WHOM = st.sampled_from(["its client"] * 3 + ["the other"])
TOO_MANY, NO = Reply(429, "too_many_requests"), Reply(401, "invalid_otp")
UNAVAILABLE, YES, NOTHING = Reply(503, "service_unavailable"), Reply(200), Reply(0)
WRONG = "999999"
_numbers = itertools.count(10000000)


@dataclass(eq=False)
class Pin:
    """A PIN that went out for `client`, which got the `id`; a lost one has no id. It lives `left` more seconds."""

    client: str
    value: str
    id: str = ""
    guesses: int = 0
    left: float = RULES.lifetime
    is_newest: bool = True


@dataclass
class Phone:
    """The expected state of a phone: its living PINs, oldest first, its failures, and its cooldown."""

    number: str
    cooling: bool = False
    failures: int = 0
    is_trusted: bool = False
    pins: list[Pin] = field(default_factory=list)
    ever: list[Pin] = field(default_factory=list)

    def message(self, fault: Fault | None) -> Reply:
        self.cooling = not (fault and fault.given_back)
        return Reply(*fault.row) if fault else YES

    def sent(self, pin: Pin) -> None:
        for other in self.pins:
            other.is_newest = other.is_newest and other.client != pin.client
        if len(self.pins) == RULES.side_by_side:
            own = [other for other in self.pins if other.client == pin.client]
            self.pins.remove(own[0] if len(own) > 1 else self.pins[0])
        self.pins.append(pin)
        self.ever.append(pin)

    def meant(self, client: str, named: str) -> Pin | None:
        own = [pin for pin in self.pins if pin.client == client and pin.guesses < RULES.attempts]
        return next((pin for pin in own if (pin.id == named if named else pin.is_newest)), None)

    def resend(self, pin: Pin | None, named: str, fault: Fault | None) -> Reply:
        if self.cooling and (pin or not named):
            return TOO_MANY
        if not pin:
            return NO
        if fault and fault.gone:
            self.pins.remove(pin)
        return self.message(fault)

    def guessed(self, client: str, named: str) -> Pin | None:
        pin = self.meant(client, named)
        is_free = pin and not pin.guesses and (named or self.is_trusted)
        return pin if self.failures < RULES.failures or is_free else None

    def verify(self, pin: Pin | None, value: str, fault: Fault | None) -> Reply:
        if not pin:
            return NO
        if not fault and pin.value == value:
            self.pins.remove(pin)
            self.failures, self.is_trusted = 0, True
            return YES
        if fault and fault.gone:
            self.pins.remove(pin)
        elif not (fault and fault.given_back):
            pin.guesses += 1
        self.failures += not fault
        return Reply(*fault.row) if fault else NO

    def wait(self, seconds: float) -> None:
        self.cooling = False
        for pin in self.pins:
            pin.left -= seconds
        self.pins = [pin for pin in self.pins if pin.left > 0]


class Model(RuleBasedStateMachine):
    """Makes every request to the service and to the model. Each example has phones of its own."""

    replicas: Replicas

    @initialize()
    def begin(self) -> None:
        self.replicas.provider.reset()
        self.phones = [Phone(f"+49151{next(_numbers)}") for _ in range(2)]
        self.before = len(self.replicas.journal.events())
        self.down = False

    def _client(self, name: str, replica: int) -> Client:
        return self.replicas.clients[name][replica]

    @rule(one=PHONES, client=CLIENTS, fault=SEND_FAULTS, of=REPLICAS)
    def send(self, one: int, client: str, fault: Fault | None, of: int) -> None:
        """During the cooldown of the phone, the send is refused."""
        phone = self.phones[one]
        reaches = not phone.cooling and not self.down
        expected = phone.message(fault) if reaches else UNAVAILABLE if self.down else TOO_MANY
        reply = self._met([fault] * reaches, lambda: self._client(client, of).send(phone.number), expected)
        if reply == YES:
            phone.sent(Pin(client, self.replicas.provider.pin(phone.number), reply.verification_id))

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, client=CLIENTS, of=REPLICAS)
    def send_in_time(self, one: int, client: str, of: int) -> None:
        """Send as soon as the cooldown allows it."""
        if self.phones[one].cooling:
            self.wait(one, 31)
        self.send(one, client, None, of)

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, seed=st.integers(0, 2**32), of=REPLICAS)
    def much_happens(self, one: int, seed: int, of: int) -> None:
        """Send PINs as soon as possible, and guess in between. The kinds of steps come in random order."""
        chance = random.Random(seed)
        for _ in range(chance.randrange(5, 20)):
            back, named = chance.randrange(4), chance.choice(["its", "its", "its", ""])
            match chance.choices(["send", "right", "wrong", "gone"], [4, 3, 3, 2])[0]:
                case "send":
                    self.send_in_time(one, chance.choice([*KEYS]), of)
                    self.wait(one, 31)
                case "gone":
                    self.the_upstream_knows_it_no_more(one, back, VERIFIES[chance.choice(DROPS)], of)
                case guess:
                    self.verify(one, back, named, "its client", guess == "right", None, of)

    @rule(one=PHONES, back=BACK, named=NAMED, by=WHOM, soon=st.booleans(), fault=RESEND_FAULTS, of=REPLICAS)
    def resend(self, one: int, back: int, named: str, by: str, soon: bool, fault: Fault | None, of: int) -> None:
        if not soon and not self.down:
            self.wait(one, 31)
        phone, (_, client, named) = self.phones[one], self._about(one, back, named, by)
        pin = phone.meant(client, named)
        reaches = bool(pin) and not phone.cooling and not self.down
        expected = UNAVAILABLE if self.down else phone.resend(pin, named, fault)
        self._met([fault] * reaches, lambda: self._client(client, of).resend(phone.number, named), expected)

    @rule(one=PHONES, back=BACK, named=NAMED, by=WHOM, times=st.integers(1, 3), of=REPLICAS)
    def guess_wrong(self, one: int, back: int, named: str, by: str, times: int, of: int) -> None:
        for _ in range(times):
            self.verify(one, back, named, by, False, None, of)

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, back=BACK, fault=st.sampled_from([VERIFIES[name] for name in DROPS]), of=REPLICAS)
    def the_upstream_knows_it_no_more(self, one: int, back: int, fault: Fault, of: int) -> None:
        self.verify(one, back, "its", "its client", False, fault, of)

    @rule(one=PHONES, back=BACK, named=NAMED, by=WHOM, right=RIGHT, fault=VERIFY_FAULTS, of=REPLICAS)
    def verify(self, one: int, back: int, named: str, by: str, right: bool, fault: Fault | None, of: int) -> None:
        phone, (value, client, named) = self.phones[one], self._about(one, back, named, by)
        value = value if right else WRONG
        pin = phone.guessed(client, named)
        calls = 2 if fault and fault.status >= 500 else 1
        faults = [fault] * calls if pin and not self.down else []
        expected = UNAVAILABLE if self.down else phone.verify(pin, value, fault)
        self._met(faults, lambda: self._client(client, of).verify(phone.number, value, named), expected)

    def _about(self, one: int, back: int, named: str, by: str) -> tuple[str, str, str]:
        """Return one of the last PINs, its client or the other one, and a verification id or none."""
        ever = [Pin("shop", WRONG), *self.phones[one].ever][-1 - back :]
        pin, *newer = ever
        named = {"its": pin.id, "a newer one's": newer[-1].id if newer else "", "unknown": "unknown"}.get(named, "")
        other = next(name for name in KEYS if name != pin.client)
        return pin.value, pin.client if by == "its client" else other, named

    def _met(self, faults: Sequence[Fault | None], ask: Callable[[], Reply], expected: Reply) -> Reply:
        self.replicas.provider.faults.extend(faults)
        reply = ask()
        assert reply == expected
        assert not self.replicas.provider.faults, "every fault was met"
        return reply

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, seconds=st.sampled_from([31, 31, 310, 601]))
    def wait(self, one: int, seconds: int) -> None:
        phone = self.phones[one]
        while any(0 < pin.left - seconds < 60 for pin in phone.pins):  # these might expire while this runs
            seconds += 60
        self.replicas.age(phone.number, seconds)
        phone.wait(seconds)

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, client=CLIENTS, by_redis=st.booleans(), of=REPLICAS)
    def a_send_is_interrupted(self, one: int, client: str, by_redis: bool, of: int) -> None:
        """Redis or the worker ends after the SMS went out and before it is recorded."""
        phone, expected = self.phones[one], TOO_MANY
        if not phone.cooling:
            expected = self._interrupted(by_redis, of)
            phone.message(None)
        assert self._client(client, of).send(phone.number) == expected
        self._mend()
        if expected != TOO_MANY:
            phone.ever.append(Pin(client, self.replicas.provider.pin(phone.number)))

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, back=BACK, named=NAMED, by_redis=st.booleans(), of=REPLICAS)
    def a_verify_is_interrupted(self, one: int, back: int, named: str, by_redis: bool, of: int) -> None:
        """Redis or the worker ends after a right verdict and before the PIN is used up."""
        phone, (_, client, named) = self.phones[one], self._about(one, back, named, "its client")
        if pin := phone.guessed(client, named):
            pin.guesses += 1
            phone.failures += 1
            expected = self._interrupted(by_redis, of)
            assert self._client(client, of).verify(phone.number, pin.value, named) == expected
            self._mend()

    def _interrupted(self, by_redis: bool, of: int) -> Reply:
        """Interrupt the next request. Return the reply of replica `of` to the client."""
        end_workers = partial(self.replicas.kill_workers_of, of)
        self.replicas.provider.hooks.append(self.replicas.server.terminate if by_redis else end_workers)
        return UNAVAILABLE if by_redis else NOTHING

    def _mend(self) -> None:
        self.replicas.all_is_up()
        assert not self.replicas.provider.hooks, "it was interrupted"

    @precondition(lambda self: not self.down)
    @rule()
    def redis_ends(self) -> None:
        self.replicas.server.stop()
        self.down = True

    @precondition(lambda self: self.down)
    @rule()
    def redis_comes(self) -> None:
        self.replicas.all_is_up()
        self.down = False

    @rule(luck=st.integers(0, 3))
    def a_worker_is_killed(self, luck: int) -> None:
        if luck == 3:  # seldom, so that there is more of all other steps
            self.replicas.kill_a_worker()

    def teardown(self) -> None:
        self.replicas.all_is_up()
        assert check(self.replicas.journal.events()[self.before :], RULES) == []


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    with Replicas.started(tmp_path_factory.mktemp("replicas"), 2) as replicas:
        yield replicas


def test_the_service_does_what_the_model_does(replicas: Replicas) -> None:
    running = type("Running", (Model,), {"replicas": replicas})
    run_state_machine_as_test(running, settings=examples(short=25, long=300, steps=30))
    events = replicas.journal.events()
    assert {event.status for event in events if event.kind == "answered"} >= {200, 401, 429}
