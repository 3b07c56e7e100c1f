"""Infobip's delivery reports: from whom, and what they say."""

import logging
import re
import time
from contextlib import suppress
from datetime import datetime
from hmac import compare_digest
from typing import Any

from flask import request
from pydantic import ValidationError

from infobip_client import MESSAGE_ID
from otp.delivery.sent_messages import FINAL, Report
from otp.delivery.tracker import Tracker
from otp.redis.client import RedisClient
from otp.web.api_clients import bearer, digest
from otp.web.request_body import Body, read_body
from otp.web.wrong_keys import WrongKeys

log = logging.getLogger("otp.delivery")

MAX_REPORTS = 256 * 1024  # bytes: about 400 reports, where Infobip puts several into one request

_NUMBER = re.compile("[+]?([1-9][0-9]{4,14})")
_WORD = re.compile("([A-Z0-9_]{1,64})")  # it becomes a part of a log line


class _Status(Body):
    group_name: str


class _Result(Body):
    """A report of one message. Source: the delivery report of Infobip's SMS API. Only the first two must be right."""

    message_id: str
    status: _Status
    to: Any = None
    done_at: Any = None
    error: Any = None


class DeliveryReports(Body):
    """Body of POST /infobip/delivery-reports. A result that makes no sense takes nothing from the others."""

    results: list[Any]


class DeliveryApi:
    """Takes reports from whoever knows `secret`."""

    def __init__(self, tracker: Tracker, secret: str, redis: RedisClient) -> None:
        self._tracker = tracker
        self._wrong_keys = WrongKeys(redis)
        self._digest = digest(secret)

    def take(self, secret: str | None = None) -> dict[str, Any]:
        """Answer POST /infobip/delivery-reports, with the secret in a header, and .../<secret>."""
        given = bearer(request) if secret is None else secret
        if not compare_digest(digest(given), self._digest):
            raise self._wrong_keys.error(given)
        for result in read_body(request, DeliveryReports, MAX_REPORTS).results:
            if report := _read(result):
                self._tracker.reported(report)
        return {"message": "Delivery reports received."}


def _read(result: Any) -> Report | None:
    """None for what is no report of ours, or says that the message is still on its way."""
    try:
        read = _Result.model_validate(result)
    except ValidationError:
        log.warning("unreadable_report")
        return None
    if not MESSAGE_ID.fullmatch(read.message_id) or read.status.group_name not in FINAL:
        return None
    error = read.error.get("name") if isinstance(read.error, dict) else None
    return Report(
        read.message_id, read.status.group_name, _moment(read.done_at), _part(_NUMBER, read.to), _part(_WORD, error)
    )


def _part(pattern: re.Pattern[str], said: Any) -> str:
    found = pattern.fullmatch(said) if isinstance(said, str) else None
    return found[1] if found else ""


def _moment(written: Any) -> float:
    """When it was: `yyyy-MM-dd'T'HH:mm:ss.SSSZ`, as Infobip writes it. Now, if it makes no sense or is to come."""
    now = time.time()
    with suppress(TypeError, ValueError, OverflowError):
        return min(now, max(0.0, datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()))
    return now
