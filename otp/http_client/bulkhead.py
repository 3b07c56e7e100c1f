"""Bounds how many calls of one kind are in flight, so that a host that hangs does not block the whole worker."""

from otp.errors import ServiceUnavailable


class Bulkhead:
    """Allows `size` calls in flight at once (`with bulkhead: ...`).

    A further call is refused immediately with ServiceUnavailable: it would only wait behind calls that hang.
    """

    def __init__(self, size: int) -> None:
        self._free = size

    def __enter__(self) -> None:
        if not self._free:
            raise ServiceUnavailable(retry_after=1)
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1
