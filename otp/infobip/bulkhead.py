"""A part of the worker that one kind of call can fill, and none can flood: where Infobip hangs, the rest stays dry."""

from otp.errors import ServiceUnavailable


class Bulkhead:
    """Lets so many calls be in flight at once (`with bulkhead: ...`).

    One more is refused at once, with ServiceUnavailable: to wait behind those that hang would only hang, too.
    """

    def __init__(self, room: int) -> None:
        self._room = room

    def __enter__(self) -> None:
        if not self._room:
            raise ServiceUnavailable(retry_after=1)
        self._room -= 1

    def __exit__(self, *_: object) -> None:
        self._room += 1
