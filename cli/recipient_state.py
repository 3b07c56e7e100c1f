"""What Redis has of a recipient, for operators: they see no PIN, and no id of one. Times are in seconds."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limits import RateLimitItem

from config import Settings
from otp.recipients import Recipient
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import number
from otp.send_limits.operator_rules import remove_rule
from otp.send_limits.recipient_limit import LONGEST_LOCKOUT, left_and_wait


def read_state(redis: RedisClient, settings: Settings, recipient: Recipient) -> dict[str, Any]:
    """The state of `recipient`: 0 for what is not there; of each limit how much is left, and the wait for room.

    Raises:
        StoreUnavailable: Redis failed.
    """
    cooldown, trusted, sent, failed, pins = redis.run(
        ("PTTL", keys.cooldown(recipient)),
        ("PTTL", keys.trusted(recipient)),
        ("LRANGE", keys.sends(recipient), 0, -1),
        ("LRANGE", keys.failures(recipient), 0, -1),
        ("HGETALL", keys.pins(recipient)),
    )
    longest = LONGEST_LOCKOUT if trusted > 0 else math.inf
    fields = dict(zip(pins[::2], pins[1::2], strict=True))
    return {
        "cooldown": _seconds(cooldown / 1000),
        "sends": [_count(limit, sent, longest) for limit in settings.phone_send_limit],
        "pins": [*_pending_pins(fields, settings.pin_attempts)],
        "failures": _count(settings.phone_failure_limit, failed),
        "trusted": _seconds(trusted / 1000),
    }


def unlock_recipient(redis: RedisClient, recipient: Recipient) -> int:
    """Delete the cooldown, the sends and the failures of `recipient`; returns how many keys there were.

    Raises:
        StoreUnavailable, CommandRefused: Redis failed, or does not let the user look for keys.
    """
    found = redis.administration().keys(keys.all_of(recipient))
    return _delete(redis, [key for key in found if key != keys.trusted(recipient)])


def forget_recipient(redis: RedisClient, recipient: Recipient) -> int:
    """Delete all that names `recipient`, and the records of its PINs; returns how many keys there were.

    Raises:
        StoreUnavailable, CommandRefused: as `unlock_recipient`.
    """
    (pins,) = redis.run(("HGETALL", keys.pins(recipient)))
    ids = [value for name, value in zip(pins[::2], pins[1::2], strict=True) if name.endswith("verification")]
    records = [keys.verification(id_hash) for id_hash in " ".join(ids).split()]
    own = [keys.pins(recipient), keys.guard_pending(recipient.canonical)]
    found = redis.administration().keys(keys.all_of(recipient))
    return _delete(redis, [*own, *records, *found]) + remove_rule(redis, "phone", recipient.canonical)


def _delete(redis: RedisClient, names: Sequence[str]) -> int:
    return sum(redis.run(*[("DEL", name) for name in names])) if names else 0


def _pending_pins(fields: Mapping[str, str], attempts: int) -> Iterator[dict[str, Any]]:
    for place in sorted(name.removesuffix("pinId") for name in fields if name.endswith("pinId")):  # see pin_fields.lua
        life = number(fields.get(f"{place}ends")) / 1000 - time.time()
        is_gone = fields.get(f"{place}gone") == fields.get(f"{place}order", "")
        if life > 0 and not is_gone:
            guesses = attempts - int(number(fields.get(f"{place}attempts")))
            messages = 1 + int(number(fields.get(f"{place}again")))
            client = fields.get(f"{place}client", "")
            yield {"client": client, "expiresIn": _seconds(life), "guessesLeft": max(0, guesses), "messages": messages}


def _count(limit: RateLimitItem, times: Sequence[str], longest: float = math.inf) -> dict[str, Any]:
    left, wait = left_and_wait(limit, times, longest)
    return {"limit": str(limit).replace(" per 1 ", " per "), "left": left, "wait": _seconds(wait)}


def _seconds(left: float) -> int:
    return max(0, math.ceil(left))
