"""Another program writes values of other types, and nonsense, to every key of the service in Redis."""

import itertools
from collections.abc import Callable

import pytest
import redis
import requests

from otp.proofs import new_signing_key
from tests.faults.invariants import NOT_SAVED
from tests.support.redis_servers import eventually
from tests.support.running import Sandbox, Service, refusal

Start = Callable[..., Service]
Plant = Callable[[redis.Redis, str], object]

KEY = "planted-client-key-0001"
HEADERS = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "planted-idempotency"}
SETTINGS = {
    "API_KEYS": f"shop:{KEY}",
    "CLIENT_LIMITS": "shop: send=100000 per minute; verify=100000 per minute; quota=100000 per day",
    "SMS_PRICES": '{"currency": "EUR", "default": 0.08}',
    "DAILY_BUDGET": "1000000",
    "MONTHLY_BUDGET": "1000000",
    "FRAUD_GUARD": "monitor",
    "PROOF_SIGNING_KEY": new_signing_key(),
}
# The service has no sets and no streams: a sorted set stands for every other type.
PLANTS: dict[str, Plant] = {
    "a string": lambda data, key: data.set(key, "junk"),
    "a number": lambda data, key: data.set(key, "1e300"),
    "a list": lambda data, key: data.rpush(key, *["junk"] * 10),
    "a list of times to come": lambda data, key: data.rpush(key, *["inf"] * 10),
    "a hash": lambda data, key: data.hset(key, "junk", "junk"),
    "a hash of its fields": lambda data, key: data.hset(
        key,
        mapping=dict.fromkeys(
            ("pinId", "attempts", "verification", "order", "ends", "owner", "body", "answer", "spent", "peak"), "x"
        ),
    ),
    "a sorted set": lambda data, key: data.zadd(key, {"junk": 1}),
}


KEYS = 27  # keys of a story: every kind of the service, except those that `Story.keys` leaves out
_numbers = itertools.count(80000000)


class Story:
    """A phone with a pending PIN, another one whose proof was redeemed, and a third one that is not known yet."""

    def __init__(self, service: Service, sandbox: Sandbox) -> None:
        self.service, self.sandbox = service, sandbox
        self.pending, self.verified, self.unknown = (f"+49151{next(_numbers)}" for _ in range(3))
        self.sent(self.pending)
        self.post("/verify-otp", phoneNumber=self.pending, pin="000000")
        self.sent(self.verified)
        pin = sandbox.pin(self.verified)
        self.proof = self.post("/verify-otp", phoneNumber=self.verified, pin=pin).json()["proof"]
        assert self.post("/proofs/redeem", proof=self.proof).status_code == 200

    def post(self, path: str, **body: str) -> requests.Response:
        return self.service.post(path, body, headers={"Authorization": f"Bearer {KEY}"})

    def sent(self, phone: str) -> None:
        headers = {**HEADERS, "Idempotency-Key": f"planted-{phone}"}
        assert self.service.send(phone, headers=headers).status_code == 200

    def keys(self, database: redis.Redis) -> list[str]:
        """Return its keys, without those written at any time: counts, alerts, and late ones of an earlier story."""
        late = ("otp:counts:", "otp:alert:", ":trusted")
        return sorted(
            key for key in database.scan_iter() if not any(each in key for each in late) or self.verified in key
        )

    def goes_on(self) -> list[requests.Response]:
        """Make every request that a client may make now."""
        again = {**HEADERS, "Idempotency-Key": f"planted-{self.pending}"}
        return [
            self.service.send(self.pending, headers=again),
            self.post("/send-otp", phoneNumber=self.pending),
            self.post("/verify-otp", phoneNumber=self.pending, pin=self.sandbox.pin(self.pending)),
            self.post("/proofs/redeem", proof=self.proof),
            self.post("/send-otp", phoneNumber=self.unknown),
        ]


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_planted_values_cause_no_bug(start: Start, database: redis.Redis, sandbox: Sandbox, plant: Plant) -> None:
    service = start(sandbox.url, **SETTINGS)
    for number in range(KEYS):
        database.flushall()
        story = Story(service, sandbox)
        eventually(lambda: len(story.keys(database)) == KEYS)  # noqa: B023  the guard writes in the background
        key = story.keys(database)[number]
        database.delete(key)
        plant(database, key)
        database.expire(key, 60)
        answers = story.goes_on()
        for answer in answers:
            assert answer.status_code == 200 or refusal(answer)[0] in (401, 409, 422, 429, 502, 503), (key, answer.text)
            assert answer.status_code not in (429, 503) or int(answer.headers["Retry-After"]) >= 1
        if sandbox.pins(story.unknown):
            assert answers[-1].status_code == 200 or answers[-1].json()["error"] == NOT_SAVED
    assert "Traceback" not in service.log()
    assert not service.lines(event="bug")
