"""The reasons for which any send to a recipient would be refused now. Nothing is counted."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from config import Settings
from otp.errors import Reason
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.send_limits.budget import day, month
from otp.send_limits.fraud_guard.scopes import scopes
from otp.send_limits.operator_rules import rule_for
from otp.send_request import SendRequest

_Until = tuple[Reason, float]  # until when it holds, in Unix seconds


def refusals(
    redis: RedisClient, settings: Settings, send_request: SendRequest, state: Mapping[str, Any]
) -> dict[str, int]:
    """Each reason, as the request log has it, and the seconds until it is over. `state` is that of `read_state`.

    Limits by client address and by client app are not of the recipient.

    Raises:
        StoreUnavailable: Redis failed.
    """
    now = time.time()
    verdict, until = rule_for(redis, send_request)
    passes_guard = state["trusted"] or verdict == "trust" or settings.fraud_guard != "block"
    found = [
        (Reason.BLOCKED_BY_OPERATOR, until if verdict == "block" else 0),
        (Reason.COOLDOWN, now + state["cooldown"]),
        (Reason.PHONE_LIMIT, now + max(count["wait"] for count in state["sends"])),
        *([] if passes_guard else _guard(redis, settings, send_request)),
        _total(redis, settings, send_request),
        *_budgets(redis, settings, send_request),
    ]
    return {str(reason): math.ceil(until - now) for reason, until in found if until > now}


def _guard(redis: RedisClient, settings: Settings, send_request: SendRequest) -> Iterator[_Until]:
    for scope in scopes(settings.allowances):
        if which := scope.of(send_request):
            ((until,),) = redis.run(("HMGET", keys.guard_scope(scope.name, which), "until"))
            yield scope.reason, float(until or 0)


def _total(redis: RedisClient, settings: Settings, send_request: SendRequest) -> _Until:
    of_phones = (settings.total_send_limit, Reason.TOTAL_LIMIT)
    of_emails = (settings.total_email_limit, Reason.TOTAL_EMAIL_LIMIT)
    limit, reason = of_phones if send_request.phone else of_emails
    ((room,),) = redis.run(("HMGET", keys.quota(limit, send_request.recipient.kind), "room"))
    return reason, float(room or 0) / 1_000_000


def _budgets(redis: RedisClient, settings: Settings, send_request: SendRequest) -> Iterator[_Until]:
    price = settings.prices.of(send_request.channel.name, send_request.region)
    for period_of, amount in zip((day, month), settings.budgets, strict=True):
        period = period_of(send_request.at)
        ((spent,),) = redis.run(("HMGET", keys.budget(period.name), "spent"))
        if amount and int(spent or 0) + price > amount:
            yield period.reason, period.end
