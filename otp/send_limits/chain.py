"""Whether a message may be sent: all limits are reserved in one round trip, or none is."""

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Protocol

from otp import request_record
from otp.errors import OtpError, Reason
from otp.redis.client import RedisClient
from otp.redis.scripts import Command
from otp.send_limits.prices import MILLION, PriceLists
from otp.send_request import SendRequest


class SendLimit(Protocol):
    """One limit on sends. Each of its scripts touches the keys of one slot of a Cluster."""

    def reserve(self, send_request: SendRequest) -> Sequence[Command]:
        """The commands that count the send where there is room for it."""

    def refusal(self, replies: list[Any], send_request: SendRequest) -> OtpError | None:
        """Why the send was not counted, from the replies to these commands; None if it was."""

    def release(self, send_request: SendRequest) -> Sequence[Command]:
        """The commands that uncount it."""

    def look(self, send_request: SendRequest) -> Sequence[Command]:
        """The commands that read what was counted, and change nothing."""

    def reasons(self, replies: list[Any], send_request: SendRequest) -> Mapping[Reason, float]:
        """Why the send would be refused, from the replies to these commands, and until when (Unix seconds)."""


class SendLimits:
    """Every limit on a send. All count it, or none does; the refusal is that of the first one that has no room.

    The request's record has the cost of the send by `prices`, while the limits count it.
    """

    def __init__(self, redis: RedisClient, *limits: SendLimit, prices: PriceLists | None = None) -> None:
        self._redis = redis
        self._limits = limits
        self._prices = prices or PriceLists({})

    def reserve(self, send_request: SendRequest) -> None:
        """Count the send in every limit.

        Raises:
            TooManyRequests, BudgetExhausted: a limit has no room.
            PhoneNumberNotAllowed: an operator has blocked the phone.
            StoreUnavailable: Redis failed; nothing may be sent.
        """
        parts = self._run([limit.reserve(send_request) for limit in self._limits])
        refusals = [limit.refusal(part, send_request) for limit, part in zip(self._limits, parts, strict=True)]
        if any(refusals):
            reserved = [limit for limit, refusal in zip(self._limits, refusals, strict=True) if not refusal]
            self._release(send_request, reserved)
            raise next(refusal for refusal in refusals if refusal)
        price = self._prices.of(send_request.channel.name, send_request.region)
        request_record.current().cost = price / MILLION

    def release(self, send_request: SendRequest) -> None:
        """Uncount the send in every limit, where nothing was sent."""
        self._release(send_request, self._limits)
        request_record.current().cost = 0.0

    def reasons(self, send_request: SendRequest) -> dict[Reason, float]:
        """Each reason for which the send would be refused now, and until when (Unix seconds). Nothing is counted.

        Raises:
            StoreUnavailable: Redis failed.
        """
        parts, now = self._run([limit.look(send_request) for limit in self._limits]), time.time()
        found = [limit.reasons(part, send_request) for limit, part in zip(self._limits, parts, strict=True)]
        return {reason: until for reasons in found for reason, until in reasons.items() if until > now}

    def _run(self, commands: Sequence[Sequence[Command]]) -> list[list[Any]]:
        """Run the commands of all limits in one round trip; returns the replies of each limit."""
        replies = self._redis.run(*chain.from_iterable(commands))
        ends = accumulate(map(len, commands), initial=0)
        return [replies[start:end] for start, end in pairwise(ends)]

    def _release(self, send_request: SendRequest, limits: Iterable[SendLimit]) -> None:
        if commands := [command for limit in limits for command in limit.release(send_request)]:
            self._redis.run(*commands)
