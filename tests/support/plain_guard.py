"""The guard's rules, as simple and slow as possible: a list of sends, and every sum computed anew."""

import math
from dataclasses import dataclass, field
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass
class PlainSend:
    """A send that was counted, and whether it was verified."""

    at: float
    verified: bool = False


@dataclass
class PlainGuard:
    """The model of one scope; `allowed` is its allowance."""

    allowed: dict[str, Any]
    sends: list[PlainSend] = field(default_factory=list)

    def counted(self, length: int, at: float, first: int, last: int) -> tuple[int, int]:
        """Return how many unverified and verified sends are `first` to `last` minutes, hours or days old."""
        ages = [(at // length - send.at // length, send.verified) for send in self.sends]
        of = [verified for age, verified in ages if first <= age <= last]
        return of.count(False), of.count(True)

    def why(self, at: float) -> str:
        """Return why there is no room at that time; "" if there is room."""
        grace, ratio = self.allowed["grace"], self.allowed["ratio"]
        pending, _ = self.counted(MINUTE, at, 0, grace)
        hour, _ = self.counted(MINUTE, at, grace + 1, 59)
        _, verified_hour = self.counted(MINUTE, at, 0, 59)
        _, verified_now = self.counted(MINUTE, at, 0, 5)
        by_day = "day" in self.allowed
        before, verified_before = self.counted(DAY, at, 1, 13) if by_day else (0, 0)
        days, verified_days = self.counted(DAY, at, 0, 13) if by_day else (0, 0)
        if hour >= self.less("hour", before - verified_before) + ratio * verified_hour:
            return "hour"
        if by_day and self.day_is_full(at, pending, before - verified_before):
            return "day"
        over = max(0, hour - ratio * verified_hour)
        room = self.less("pending", days - pending - verified_days) + self.allowed["follow"] * verified_now
        return "pending" if pending + over >= room else ""

    def day_is_full(self, at: float, pending: int, owed: int) -> bool:
        day, verified_day = self.counted(HOUR, at, 0, 23)
        best = max(self.counted(DAY, at, age, age)[1] for age in range(14))
        return bool(day - pending >= self.less("day", owed) + self.allowed["ratio"] * max(verified_day, best))

    def less(self, budget: str, owed: int) -> float:
        return float(max(self.allowed["least"], self.allowed[budget] - max(0, owed)))

    def room(self, at: float) -> float:
        """Return the first minute of the next hour, or else the first hour, at which there is room."""
        minutes = [(at // MINUTE + n) * MINUTE for n in range(1, 62)]
        hours = [(at // HOUR + n) * HOUR for n in range(1, 26)]
        return next((later for later in [*minutes, *hours] if not self.why(later)), at + DAY)

    def send(self, at: float) -> tuple[int, int, str]:
        """Count the send if there is room. Return the script's reply."""
        if why := self.why(at):
            return 0, math.ceil(self.room(at) - at), why
        self.sends.append(PlainSend(at))
        return 1, 0, ""

    def record_result(self, at: float, result: str) -> None:
        """Record that one of the sends of that time was verified, or not sent."""
        send = next(send for send in self.sends if send.at == at and not send.verified)
        if result == "verified":
            send.verified = True
        else:
            self.sends.remove(send)
