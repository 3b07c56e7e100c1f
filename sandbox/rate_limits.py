"""Rate limits with sliding windows, by key."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.api_error import too_many_requests
from sandbox.grammar import Limit

KEPT_WINDOWS = 100_000  # when there are more, the least recently used one is dropped
STEPS = 1000  # the largest number of steps of a window; each step is counted at its start


@dataclass
class _Window:
    period: float
    steps: list[tuple[float, int]] = field(default_factory=list)

    def count(self, now: float) -> int:
        while self.steps and self.steps[0][0] <= now - self.period:
            del self.steps[0]
        return sum(count for _, count in self.steps)

    def add(self, now: float) -> None:
        counted = 0
        if self.steps and now - self.steps[-1][0] < self.period / STEPS:
            now, counted = self.steps.pop()
        self.steps.append((now, counted + 1))

    def is_over(self, now: float) -> bool:
        return self.steps[-1][0] <= now - self.period


class RateLimits:
    """Counts the requests in the last period of each limit. It is not thread-safe.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def take(self, limits: dict[str, Limit]) -> None:
        """Count one request for each key.

        Raises:
            ApiError: 429 if a limit is reached; then nothing is counted.
        """
        now = self._clock()
        windows = {key: self._windows.get(key) or _Window(limit.period) for key, limit in limits.items()}
        for key, limit in limits.items():
            windows[key].period = limit.period
            if windows[key].count(now) >= limit.attempts:
                raise too_many_requests()
        for key, window in windows.items():
            window.add(now)
            self._windows[key] = window
            self._windows.move_to_end(key)
        self._forget(now)

    def _forget(self, now: float) -> None:
        while len(self._windows) > KEPT_WINDOWS or next(iter(self._windows.values())).is_over(now):
            self._windows.popitem(last=False)
