"""Infobip's delivery reports, and their validation."""

import logging
import re
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from otp.infobip.responses import StrictResponse
from otp.setting_types import IDENTIFIER

log = logging.getLogger("otp.delivery")

DELIVERED = "DELIVERED"
FINAL = {DELIVERED, "UNDELIVERABLE", "EXPIRED", "REJECTED"}  # of Infobip's status groups; PENDING is the other one
DELIVERY_ID = re.compile(IDENTIFIER)  # it becomes a part of a key

_NUMBER = re.compile("[+]?([1-9][0-9]{4,14})")
_WORD = re.compile("([A-Z0-9_]{1,64})")  # it becomes a part of a log line


class DeliveryReport(NamedTuple):
    """The end of a message's delivery: `outcome` is one of FINAL, `at` is when that was so (Unix seconds).

    `to` is the number in digits, `error` Infobip's word for what went wrong; each is "" where the report has none.
    """

    message_id: str
    outcome: str
    at: float
    to: str = ""
    error: str = ""


class _Status(StrictResponse):
    group_name: str


class _Result(StrictResponse):
    """A report of one message. Source: the delivery report of Infobip's SMS API. Only the first two must be right."""

    message_id: str
    status: _Status
    to: Any = None
    done_at: Any = None
    error: Any = None


def parse_report(result: Any) -> DeliveryReport | None:
    """The report in one of Infobip's `results`; None if it cannot be read, or the message is still on its way."""
    try:
        read = _Result.model_validate(result)
    except ValidationError:
        log.warning("unreadable_report")
        return None
    if not DELIVERY_ID.fullmatch(read.message_id) or read.status.group_name not in FINAL:
        return None
    error = read.error.get("name") if isinstance(read.error, dict) else None
    to, word = _part(_NUMBER, read.to), _part(_WORD, error)
    return DeliveryReport(read.message_id, read.status.group_name, _moment(read.done_at), to, word)


def _part(pattern: re.Pattern[str], value: Any) -> str:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else ""


def _moment(done_at: Any) -> float:
    """Unix seconds of `yyyy-MM-dd'T'HH:mm:ss.SSSZ`, Infobip's form; now, if it makes no sense or lies in the future."""
    now = time.time()
    with suppress(TypeError, ValueError, OverflowError):
        return min(now, max(0.0, datetime.strptime(done_at, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()))
    return now
