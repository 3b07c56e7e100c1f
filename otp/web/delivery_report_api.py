"""The endpoint that takes Infobip's delivery reports."""

from hmac import compare_digest
from typing import Any

from flask import request

from otp.delivery.tracker import Tracker
from otp.infobip.delivery_reports import parse_report
from otp.redis.client import RedisClient
from otp.web.api_clients import bearer, digest
from otp.web.request_body import Body, read_body
from otp.web.wrong_keys import WrongKeys

PATH = "/infobip/delivery-reports"
MAX_REPORTS = 256 * 1024  # bytes: about 400 reports, where Infobip puts several into one request


class DeliveryReports(Body):
    """Body of POST /infobip/delivery-reports. A result that cannot be read does not affect the others."""

    results: list[Any]


class DeliveryApi:
    """Takes reports from callers that know `secret`."""

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
            if report := parse_report(result):
                self._tracker.apply_report(report)
        return {"message": "Delivery reports received."}
