"""Infobip's delivery reports, and their validation."""

import logging
import re
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from otp.http_client.strict_response import StrictResponse
from otp.setting_types import IDENTIFIER

log = logging.getLogger("otp.delivery")

DELIVERED = "DELIVERED"
FINAL = {DELIVERED, "UNDELIVERABLE", "EXPIRED", "REJECTED"}  # of Infobip's status groups; PENDING is the other one
DELIVERY_ID = re.compile(IDENTIFIER)  # it becomes a part of a key

_NUMBER = re.compile("[+]?([1-9][0-9]{4,14})")
_WORD = re.compile("([A-Z0-9_]{1,64})")  # it becomes a part of a log line
_CURRENCY = re.compile("([A-Z]{3})")  # it becomes a label of a metric
_MOST_EACH, _MOST_PARTS = 100, 20  # highest plausible price, and number of SMS in one text


class Charge(NamedTuple):
    """What Infobip charges for a whole message, in millionths of the unit of `currency`, an ISO 4217 code."""

    amount: int
    currency: str


class DeliveryReport(NamedTuple):
    """The end of a message's delivery: `outcome` is one of FINAL, `at` is when it ended (Unix seconds).

    `to` is the number in digits, `error` Infobip's word for what went wrong; each is "" where the report has none.
    `charge` is None where it has no price that makes sense.
    """

    message_id: str
    outcome: str
    at: float
    to: str = ""
    error: str = ""
    charge: Charge | None = None


class _Status(StrictResponse):
    group_name: str


class _Result(StrictResponse):
    """A report of one message. Source: the delivery report of Infobip's SMS API. Only the first two must be right."""

    message_id: str
    status: _Status
    to: Any = None
    done_at: Any = None
    error: Any = None
    price: Any = None
    sms_count: Any = None
    message_count: Any = None  # the newer name


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
    charge = _charge(read.price, read.message_count or read.sms_count)
    return DeliveryReport(read.message_id, read.status.group_name, _moment(read.done_at), to, word, charge)


def _charge(price: Any, parts: Any) -> Charge | None:
    """The price of one SMS, times the number of SMS that the message took (1 if it is not plausible)."""
    if not isinstance(price, dict):
        return None
    each, currency = price.get("pricePerMessage"), _part(_CURRENCY, price.get("currency"))
    if isinstance(each, bool) or not isinstance(each, int | float) or not 0 <= each <= _MOST_EACH or not currency:
        return None
    times = parts if type(parts) is int and 1 <= parts <= _MOST_PARTS else 1
    return Charge(round(each * 1_000_000) * times, currency)


def _part(pattern: re.Pattern[str], value: Any) -> str:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else ""


def _moment(done_at: Any) -> float:
    """Unix seconds of `yyyy-MM-dd'T'HH:mm:ss.SSSZ`, Infobip's form; now, if it makes no sense or lies in the future."""
    now = time.time()
    with suppress(TypeError, ValueError, OverflowError):
        return min(now, max(0.0, datetime.strptime(done_at, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()))
    return now
