"""The views that say whether the service runs: for people, orchestrators and load balancers."""

from collections.abc import Callable
from typing import Any

from flask import Response

from otp import VERSION, request_record


class HealthApi:
    """The views of health.

    Args:
        ping: returns if Redis takes writes; raises StoreUnavailable otherwise.
    """

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping

    def index(self) -> Response:
        """Answer GET /."""
        return Response("Infobip OTP Service Running!", mimetype="text/plain")

    def healthz(self) -> dict[str, Any]:
        """Answer GET /healthz: the process lives."""
        request_record.current().operation = "probe"
        return {"status": "alive"}

    def readyz(self) -> dict[str, Any]:
        """Answer GET /readyz: Redis takes writes."""
        request_record.current().operation = "probe"
        self._ping()
        return {"status": "ready", "version": VERSION}
