"""One alert for the operator."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True)
class Alert:
    """What happened, at `at` (Unix seconds).

    `sentence` is for people and `facts` are for programs: neither may hold a whole phone number, a PIN, a pinId or a
    key. Alerts of one type differ in their `subject`, where they have one. Alerts of one kind are sent at most once in
    `quiet` seconds or ten minutes, whichever is longer.
    """

    type: str
    sentence: str
    facts: Mapping[str, str | int] = field(default_factory=dict)
    subject: str = ""
    at: float = field(default_factory=time.time)
    quiet: int = 0

    @property
    def kind(self) -> str:
        """Of several alerts of one kind, one is sent."""
        return f"{self.type}:{self.subject}".removesuffix(":")

    def body(self) -> bytes:
        """The JSON that a receiver gets, in the shape that Standard Webhooks recommends."""
        timestamp = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {"type": self.type, "timestamp": timestamp, "data": {"sentence": self.sentence, **self.facts}}
        return json.dumps(body).encode()
