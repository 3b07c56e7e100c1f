"""Tests two replicas on one Redis, whose clocks may be half a minute apart."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count, cycle
from pathlib import Path

import pytest
import redis

from otp.proofs import new_signing_key
from tests.support.running import Sandbox, Service, refusal

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
CI = os.environ.get("CI") == "true"
without_faketime = pytest.mark.skipif(not FAKETIME and not CI, reason="no libfaketime (apt install libfaketime)")

AHEAD = 30  # seconds
TOO_MANY = (429, "too_many_requests")
SETTINGS = {"WEB_CONCURRENCY": "1"}
_numbers = count(40000000)


class Replicas:
    """Starts two replicas with the same settings; the second one's clock is `ahead` by this number of seconds."""

    def __init__(self, stack: ExitStack, directory: Path, base: dict[str, str]) -> None:
        self._stack, self._directory, self._base = stack, directory, base

    def __call__(self, ahead: int = 0, **settings: str) -> list[Service]:
        assert FAKETIME or not ahead, "there is no libfaketime"
        given = {**self._base, **SETTINGS, **settings}
        clock = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{ahead:+}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return [self._start("one", given), self._start("other", {**given, **(clock if ahead else {})})]

    def _start(self, name: str, given: dict[str, str]) -> Service:
        (self._directory / name).mkdir()
        return self._stack.enter_context(Service.started(self._directory / name, given))


@pytest.fixture
def replicas(sandbox: Sandbox, database: redis.Redis, redis_url: str, tmp_path: Path) -> Iterator[Replicas]:
    with ExitStack() as stack:
        yield Replicas(stack, tmp_path, {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url})


def statuses(services: list[Service], phones: list[str]) -> Counter[int]:
    """Send to these phones at once, alternating between the replicas, and count the statuses."""
    with ThreadPoolExecutor(16) as executor:
        answers = executor.map(lambda pair: pair[0].send(pair[1]), zip(cycle(services), phones, strict=False))
        return Counter(answer.status_code for answer in answers)


def numbers(amount: int) -> list[str]:
    return [f"+49151{next(_numbers)}" for _ in range(amount)]


@pytest.mark.parametrize("ahead", [0, pytest.param(AHEAD, marks=without_faketime)])
def test_two_replicas_count_limits_exactly(
    replicas: Replicas, sandbox: Sandbox, database: redis.Redis, phone: str, ahead: int
) -> None:
    phones = {"PHONE_SEND_LIMIT": "3 per day", "PHONE_SEND_SHARE": "1"}
    both = replicas(ahead, TOTAL_SEND_LIMIT="20 per day", SEND_OTP_LIMIT="24 per hour", **phones)
    for _ in range(4):
        statuses(both, [phone] * 4)
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert len(sandbox.pins(phone)) == 3, "one each time: the cooldown; and three in all"
    database.delete(*database.scan_iter("otp:LIMITS:LIMITER/127*"))
    assert statuses(both, numbers(24)) == {200: 17, 429: 7}, "of all phones"
    assert len(sandbox.messages) == 20
    assert [refusal(service.send(phone)) for service in both] == [TOO_MANY, TOO_MANY], "of the address"


@without_faketime
def test_a_window_ends_at_the_same_time_for_both_replicas(
    replicas: Replicas, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    """By its own clock, the one ahead would see the other's entries as expired; the other would see endless ones."""
    one, other = replicas(AHEAD, VERIFY_OTP_LIMIT="4 per 20 seconds", PHONE_SEND_LIMIT="5 per 20 seconds")
    assert [service.verify(phone, "123456").status_code for service in (one, one, other, other)] == [401] * 4
    for service in (one, other, one, other):
        refused = service.verify(phone, "123456")
        assert refusal(refused) == TOO_MANY
        assert 15 <= int(refused.headers["Retry-After"]) <= 20
        reset = int(refused.headers["X-RateLimit-Reset"]) - database.time()[0] - (AHEAD if service is other else 0)
        assert 14 <= reset <= 21, "by the replica's own clock, as the Date beside it"
    for service in (one, other):
        assert service.send(phone).status_code == 200
        assert service.send(phone).status_code == 429
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    for service in (one, other):
        refused = service.send(phone)
        assert refusal(refused) == TOO_MANY
        assert 15 <= int(refused.headers["Retry-After"]) <= 20
    assert len(sandbox.pins(phone)) == 2


@without_faketime
def test_one_replica_completes_what_the_other_began(replicas: Replicas, sandbox: Sandbox) -> None:
    both = replicas(AHEAD, PROOF_SIGNING_KEY=new_signing_key(), FRAUD_GUARD="block")
    for sender, verifier in (both, both[::-1]):
        (to,) = numbers(1)
        key = {"Idempotency-Key": f"one-of-two-{to}"}
        first = sender.send(to, headers=key)
        assert (first.status_code, first.content) == (200, verifier.send(to, headers=key).content)
        assert refusal(verifier.send(to)) == TOO_MANY
        verified = verifier.verify(to, sandbox.pin(to))
        assert verified.status_code == 200
        assert refusal(sender.verify(to, sandbox.pin(to))) == (401, "invalid_otp")
        proof = {"proof": verified.json()["proof"]}
        assert sender.post("/proofs/redeem", proof).status_code == 200
        assert refusal(verifier.post("/proofs/redeem", proof)) == (409, "proof_already_redeemed")
        assert len(sandbox.pins(to)) == 1
