"""Runs a day of events through the service's own code, with a real Redis, the sandbox and a moved clock."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import gevent
import redis

from app import Parts, build
from config import Settings
from otp.errors import InvalidOtp, TooManyRequests
from otp.recipients import Recipient
from otp.requester import Requester
from otp.send_request import SendRequest
from sandbox.server import MESSAGE_ID
from tests.support.crowd import HOUR, Event
from tests.support.running import ACCOUNT, Sandbox

PIN = "918273"
START = 1_795_392_000  # 2026-11-23, midnight
# All limits except the guard and the cooldown are open.
OPEN = {"phone_send_limit": "1000 per day", "total_send_limit": "1000000 per day"}


class Outcome(NamedTuple):
    """The result of an event: `sent`, `refused`, `verified` or `failed`."""

    event: Event
    what: str


class Day:
    """The service, whose guard uses the time of each event as the current time."""

    def __init__(self, database: redis.Redis, redis_url: str, sandbox: Sandbox, **settings: str) -> None:
        account = {name.lower(): value for name, value in ACCOUNT.items()}
        given = {**account, "infobip_base_url": sandbox.url, "redis_url": redis_url, **OPEN, **settings}
        self._parts: Parts = build(Settings(**given))
        self._database = database
        sandbox.reset(fixed_pin=PIN)  # to look up each PIN among thousands of messages would take longer than the rest

    def run(self, events: Iterable[Event]) -> Iterator[Outcome]:
        """Run each of them, in order."""
        for event in events:
            yield Outcome(event, self._verify(event) if event.verifies else self._send(event))

    def _send(self, event: Event) -> str:
        # The cooldown is over by then: nobody sends again within it.
        self._database.delete(f"{{otp:phoneNumber:{event.phone}}}:cooldown")
        try:
            send_request = SendRequest(
                Recipient("phone", event.phone, event.country),
                Requester(event.address),
                at=START + event.at,
                template=MESSAGE_ID,
            )
            self._parts.otp.send(send_request)
        except TooManyRequests:
            return "refused"
        return "sent"

    def _verify(self, event: Event) -> str:
        try:
            self._parts.otp.verify(Recipient.at(event.phone), PIN, Requester(event.address))
        except InvalidOtp:  # the PIN was not sent
            return "failed"
        gevent.sleep(0)  # what the service does in the background is done now
        return "verified"


def by_hour(outcomes: Iterable[Outcome], what: str) -> Counter[int]:
    """Count the outcomes of this kind by the hour of the day."""
    return Counter(int(outcome.event.at // HOUR) for outcome in outcomes if outcome.what == what)
