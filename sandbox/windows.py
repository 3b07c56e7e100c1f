"""Sliding windows, by key."""

from collections import OrderedDict, deque
from collections.abc import Callable

from sandbox.grammar import Limit
from sandbox.refusal import too_many_requests

KEPT_WINDOWS = 100_000  # beyond that, who was silent longest is forgotten
STEPS = 1000  # a window of any size is remembered in at most so many steps, each counted at its beginning


class Windows:
    """Counts in the last `period` of each limit. Not thread-safe by itself.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def take(self, limits: dict[str, Limit]) -> None:
        """Count one for each key.

        Raises:
            ApiError: 429, one of the limits is full; then none is counted.
        """
        if any(self._count(key, limit) >= limit.attempts for key, limit in limits.items()):
            raise too_many_requests()
        for key, limit in limits.items():
            self._add(key, limit)

    def _count(self, key: str, limit: Limit) -> int:
        window = self._windows.get(key, deque())
        while window and window[0][0] <= self._clock() - limit.period:
            window.popleft()
        return sum(count for _, count in window)

    def _add(self, key: str, limit: Limit) -> None:
        window = self._windows.setdefault(key, deque())
        now, counted = self._clock(), 0
        if window and now - window[-1][0] < limit.period / STEPS:
            now, counted = window.pop()
        window.append((now, counted + 1))
        self._windows.move_to_end(key)
        if len(self._windows) > KEPT_WINDOWS:
            self._windows.popitem(last=False)
