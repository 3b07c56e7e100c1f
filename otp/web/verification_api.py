"""The status of a PIN, for the client app that had it sent."""

import time
from typing import Any

from flask import g
from werkzeug.exceptions import NotFound

from otp.delivery.verifications import Verifications


class VerificationApi:
    """The view of /verifications/<verificationId>."""

    def __init__(self, verifications: Verifications) -> None:
        self._verifications = verifications

    def show(self, verificationId: str) -> dict[str, Any]:  # noqa: N803  as the contract writes it
        """Answer GET /verifications/<verificationId>. Those of other clients are not found."""
        found = self._verifications.find(verificationId, g.client)
        if found is None:
            raise NotFound
        times = found.model_dump(by_alias=True, exclude={"client", "channel", "ended_at"}, exclude_none=True)
        return {"status": found.status(time.time()), "channel": found.channel, **times}
