"""The service beside a model of it that fits on a screen: whatever is done, and whatever breaks, both say the same."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.faults.checker import check
from tests.faults.client import Told
from tests.faults.fuzzing import examples
from tests.faults.infobip_faults import Fault, sends, verifies
from tests.faults.replicas import RULES, Replicas

QUICK = ("reset", "hang up", "500 json", "503 empty", "garbage", "html", "truncated json", "429", "401", "404 html")
SENDS, VERIFIES = sends(), verifies()
SEND_FAULTS = st.none() | st.sampled_from([*(SENDS[name] for name in (*QUICK, "not sent"))])
VERIFY_FAULTS = st.none() | st.sampled_from([*(VERIFIES[name] for name in (*QUICK, "truthy", "unknown pin"))])
PHONES = st.integers(0, 1)
TOO_MANY, NO = Told(429, "too_many_requests"), Told(401, "invalid_otp")
UNAVAILABLE, YES, NOTHING = Told(503, "service_unavailable"), Told(200), Told(0)
_numbers = itertools.count(10000000)


@dataclass
class Phone:
    """What the service should know of a phone: its PIN, if one can be verified, the guesses at it, and the cooldown."""

    number: str
    pin: str = ""
    guesses: int = 0
    cooling: bool = False
    older: list[str] = field(default_factory=list)

    def send(self, fault: Fault | None) -> Told:
        if self.cooling:
            return TOO_MANY
        self.cooling = not (fault and fault.given_back)
        return Told(*fault.row) if fault else YES

    def sent(self, pin: str) -> None:
        self.older += [self.pin] if self.pin else []
        self.pin, self.guesses = pin, 0

    def may_guess(self) -> bool:
        return bool(self.pin) and self.guesses < RULES.attempts

    def verify(self, pin: str, fault: Fault | None) -> Told:
        if not self.may_guess():
            return NO
        self.guesses += not (fault and fault.given_back)
        if fault:
            return Told(*fault.row)
        if pin != self.pin:
            return NO
        self.older.append(self.pin)
        self.pin = ""
        return YES

    def wait(self, seconds: int) -> None:
        self.cooling = False
        if seconds > 600:
            self.older += [self.pin] if self.pin else []
            self.pin = ""


class Model(RuleBasedStateMachine):
    """Does the same to both. Each example has phones of its own."""

    replicas: Replicas

    @initialize()
    def begin(self) -> None:
        self.phones = [Phone(f"+49151{next(_numbers)}") for _ in range(2)]
        self.before = len(self.replicas.journal.events())
        self.down = False

    @rule(one=PHONES, fault=SEND_FAULTS, of=PHONES)
    def send(self, one: int, fault: Fault | None, of: int) -> None:
        """Where the phone is in its cooldown, that is a resend too early."""
        phone = self.phones[one]
        cold = not phone.cooling
        expected = UNAVAILABLE if self.down else phone.send(fault)
        self.replicas.provider.faults.extend([fault] if cold and not self.down else [])
        assert self.replicas.clients[of].send(phone.number) == expected
        assert not self.replicas.provider.faults, "the fault was met"
        if expected == YES:
            phone.sent(self.replicas.provider.pin(phone.number))

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, of=PHONES)
    def resend(self, one: int, of: int) -> None:
        """As soon as it may be."""
        self.wait(one, 31)
        self.send(one, None, of)

    @rule(one=PHONES, times=st.integers(1, 3), of=PHONES)
    def guess_wrong(self, one: int, times: int, of: int) -> None:
        for _ in range(times):
            self.verify(one, "wrong", None, of)

    @rule(one=PHONES, guess=st.sampled_from(["right", "right", "wrong", "old"]), fault=VERIFY_FAULTS, of=PHONES)
    def verify(self, one: int, guess: str, fault: Fault | None, of: int) -> None:
        phone = self.phones[one]
        old = phone.older[-1] if phone.older else "999999"
        pin = {"right": phone.pin or old, "wrong": "999999", "old": old}[guess]
        reaches = phone.may_guess() and not self.down
        calls = 2 if fault and fault.status >= 500 else 1
        expected = UNAVAILABLE if self.down else phone.verify(pin, fault)
        self.replicas.provider.faults.extend([fault] * calls if reaches else [])
        assert self.replicas.clients[of].verify(phone.number, pin) == expected
        assert not self.replicas.provider.faults, "every fault was met"

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, seconds=st.sampled_from([31, 31, 601]))
    def wait(self, one: int, seconds: int) -> None:
        self.replicas.age(self.phones[one].number, seconds)
        self.phones[one].wait(seconds)

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, by_redis=st.booleans(), of=PHONES)
    def a_send_is_interrupted(self, one: int, by_redis: bool, of: int) -> None:
        """Between the SMS and its record: by the end of Redis, or of the worker."""
        phone = self.phones[one]
        expected = self._interrupted(by_redis, of) if phone.send(None) == YES else TOO_MANY
        assert self.replicas.clients[of].send(phone.number) == expected
        self._mend()

    @precondition(lambda self: not self.down)
    @rule(one=PHONES, by_redis=st.booleans(), of=PHONES)
    def a_verify_is_interrupted(self, one: int, by_redis: bool, of: int) -> None:
        """Between the verdict, which is a yes, and its use."""
        phone = self.phones[one]
        if phone.may_guess():
            phone.guesses += 1
            expected = self._interrupted(by_redis, of)
            assert self.replicas.clients[of].verify(phone.number, phone.pin) == expected
            self._mend()

    def _interrupted(self, by_redis: bool, of: int) -> Told:
        """What the client will be told by the replica `of`."""
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
        if not luck:  # more of all the rest
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
    run_state_machine_as_test(running, settings=examples(short=15, long=300, steps=25))
    events = replicas.journal.events()
    assert {event.status for event in events if event.kind == "answered"} >= {200, 401, 429}
