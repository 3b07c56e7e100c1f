"""Temporary rules of operators: blocked phones and prefixes, and those that the fraud guard trusts.

All rules are in one hash, read in the same round trip as all limits, so each takes effect with the next send, on every
replica. Of the rules for a phone the most specific one decides: its own, then that of the longest prefix.
"""

import re
import time
from collections.abc import Iterator
from typing import Any, Literal

from otp.errors import PhoneNumberNotAllowed, Reason
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import invalid_reply
from otp.redis.scripts import Command, Script
from otp.send_limits.fraud_guard.blocks import Verdict
from otp.send_limits.fraud_guard.scopes import PREFIX_DIGITS
from otp.send_request import SendRequest

KINDS = ("phone", "prefix")
LONGEST = 90 * 24 * 60 * 60  # seconds that a rule may hold
MOST_RULES = 10_000  # setting one takes Redis the same time, however many there are
# The lengths of prefixes, with their plus. For short numbers, some equal the whole number.
_LENGTHS = [len("+") + digits for digits in reversed(PREFIX_DIGITS)]
_SET = Script("operator_rule_set")
_VALUE = re.compile("(block|trust) ([0-9]{1,12})")


class TooManyRules(Exception):  # noqa: N818  named like all errors of the service
    """There is no room for another rule."""


class OperatorRules:
    """Refuses sends to what is blocked, whether the guard is on or not, and notes what is trusted.

    It must precede the guard's limits, which read that note.
    """

    def reserve(self, send_request: SendRequest) -> list[Command]:
        """Ask for the rules of the phone."""
        return [_ask(send_request.phone)] if send_request.phone else []

    def refusal(self, replies: list[Any], send_request: SendRequest) -> PhoneNumberNotAllowed | None:
        """A refusal has no Retry-After: only an operator ends the block."""
        blocked = self.reasons(replies, send_request)
        return PhoneNumberNotAllowed(reason=Reason.BLOCKED_BY_OPERATOR) if blocked else None

    def release(self, send_request: SendRequest) -> list[Command]:
        """Nothing was counted."""
        return []

    look = reserve

    def reasons(self, replies: list[Any], send_request: SendRequest) -> dict[Reason, float]:
        """The block of the phone, if there is one."""
        verdict, until = _decide(replies[0], send_request.at) if replies else ("", 0)
        send_request.reserved.is_trusted_by_operator = verdict == "trust"
        return {Reason.BLOCKED_BY_OPERATOR: until} if verdict == "block" else {}


def set_rule(redis: RedisClient, verdict: Literal["block", "trust"], kind: str, which: str, lifetime: float) -> None:
    """Apply `verdict` to the phone or prefix `which` for `lifetime` seconds, instead of its previous rule.

    Raises:
        TooManyRules: MOST_RULES hold already.
    """
    rule = _SET([keys.OPERATOR_RULES], f"{kind} {which}", verdict, int(lifetime), MOST_RULES)
    if redis.run(rule) != [1] and not (_remove_ended(redis) and redis.run(rule) == [1]):
        raise TooManyRules


def _remove_ended(redis: RedisClient) -> bool:
    (fields,) = redis.run(("HGETALL", keys.OPERATOR_RULES))
    ended = [name for name, value in zip(fields[::2], fields[1::2], strict=True) if _parse(value)[1] <= time.time()]
    return bool(ended) and redis.run(("HDEL", keys.OPERATOR_RULES, *ended)) != [0]


def remove_rule(redis: RedisClient, kind: str, which: str) -> bool:
    """Remove the rule for the phone or prefix `which`. False if there is none."""
    return redis.run(("HDEL", keys.OPERATOR_RULES, f"{kind} {which}")) == [1]


def rules(redis: RedisClient, now: float) -> Iterator[Verdict]:
    """The rules that hold at `now` (Unix seconds), sorted; `why` is block or trust."""
    (fields,) = redis.run(("HGETALL", keys.OPERATOR_RULES))
    for name, value in sorted(zip(fields[::2], fields[1::2], strict=True)):
        verdict, until = _parse(value)
        if until > now:
            kind, _, which = name.partition(" ")
            yield Verdict(kind, which, verdict, until)


def _ask(phone: str) -> Command:
    return ("HMGET", keys.OPERATOR_RULES, *_names(phone))


def _names(phone: str) -> list[str]:
    """What the rules for a phone can be called, the most specific first."""
    return [f"phone {phone}", *[f"prefix {phone[:length]}" for length in _LENGTHS]]


def _decide(reply: Any, now: float) -> tuple[str, float]:
    if not isinstance(reply, list) or len(reply) != 1 + len(_LENGTHS):
        raise invalid_reply()
    found = (_parse(value) for value in reply if value is not None)
    return next((rule for rule in found if rule[1] > now), ("", 0))


def _parse(value: Any) -> tuple[str, float]:
    match = _VALUE.fullmatch(value) if isinstance(value, str) else None
    if not match:  # another program has written there: nobody knows what is blocked
        raise invalid_reply()
    return match[1], float(match[2])
