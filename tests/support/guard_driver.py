"""Reserves sends at the fraud guard, at any given time, without the rest of the service."""

import itertools
from typing import Any

import redis

from config import Settings
from otp.errors import TooManyRequests
from otp.phone_numbers import PhoneBook
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.requester import Requester
from otp.send_limits.chain import SendLimits
from otp.send_limits.fraud_guard.fraud_guard import FraudGuard
from otp.send_limits.fraud_guard.scopes import Allowances
from otp.send_request import Reserved, SendRequest

NOON = 1_795_435_200.0  # 2026-11-23
MINUTE, HOUR, DAY = 60, 3600, 86400
_numbers = itertools.count()


def allowances(**settings: Any) -> Allowances:
    """Return the guard's allowances with these settings; the others have their defaults."""
    return Settings.model_construct(**settings).allowances


def counted(database: redis.Redis, scope: str, unit: str) -> dict[int, tuple[int, int]]:
    """Return how many were sent, and how many of these verified, by the number of the minute, hour or day."""
    numbers = [int(n) for n in str(database.hget(f"otp:guard:{scope}", unit) or "").split(",")[:-1]]
    return {number: (sent, verified) for number, sent, verified in zip(*[iter(numbers)] * 3, strict=True)}


class GuardDriver:
    """Reserves sends: by default, each to another number and from another address."""

    def __init__(self, client: RedisClient, **settings: Any) -> None:
        self.client = client
        self.suspicions = 0
        mode = settings.get("fraud_guard", "block")
        self.guard = FraudGuard(client, mode, allowances(**settings), 600, self._count)
        self.send_limits = SendLimits(client, *self.guard.limits)

    def _count(self) -> None:
        self.suspicions += 1

    def send_request(self, at: float, phone: str = "", address: str | None = None) -> SendRequest:
        n = next(_numbers)
        phone = phone or f"+49151{n % 1000:03}{10000 + n % 90000}"  # with many prefixes
        asks = Requester(f"10.1.{n // 250}.{n % 250}" if address is None else address)
        to = PhoneBook().read(phone)
        (trusted_by,) = self.client.run(("GET", keys.trusted(to)))  # as the limits of the recipient read it
        return SendRequest(to, asks, at=at, reserved=Reserved(trusted_by=trusted_by or ""))

    def enter(self, at: float, phone: str = "", address: str | None = None) -> SendRequest:
        send_request = self.send_request(at, phone, address)
        self.send_limits.reserve(send_request)
        return send_request

    def wait(self, at: float, phone: str = "", address: str | None = None) -> float | None:
        """Return the wait of the refusal in seconds, or None if the send is allowed."""
        try:
            self.enter(at, phone, address)
        except TooManyRequests as e:
            return e.retry_after
        return None

    def fill(self, at: float, step: float = 0, **of: str) -> int:
        """Return how many sends are allowed before the first refusal."""
        return next(n for n in itertools.count() if self.wait(at + n * step, **of) is not None)

    def verify(self, *sent: SendRequest) -> None:
        for send_request in sent:
            self.client.run(
                ("SET", keys.trusted(send_request.recipient), send_request.requester.fingerprint, "EX", 30 * DAY)
            )
            self.guard.pin_verified(send_request.recipient)
        self.guard.finish()
