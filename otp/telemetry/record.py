"""What is known of the request that runs: written down where it happens, told when it ends."""

import time
from contextvars import ContextVar
from typing import Any

from otp.errors import OtpError
from otp.recipients import Recipient
from otp.redis.scripts import Command


class Record:
    """One request. Greenlets that run for no request, and commands, get one that nobody reads."""

    __slots__ = (
        "address", "address_limit", "channel", "client", "code", "content", "error", "is_client_app", "provider",
        "redis", "replayed", "request_id", "span", "started", "taken", "to",
    )  # fmt: skip

    def __init__(self, request_id: str = "") -> None:
        self.request_id = request_id
        self.started = time.perf_counter()
        self.address = ""  # whom an address limit counts
        self.address_limit: dict[str, int] = {}  # the headers that say how much of it is left
        self.taken: list[Command] = []  # from the windows of limits: what gives it back
        self.is_client_app = False  # whether the address is the client app's, which has not named its end user
        self.client = ""  # the name of the client app, once its key is known to be right
        self.content: bytes | None = None  # the body, once it was read
        self.to: Recipient | None = None  # once it is known; never leaves but masked
        self.channel = ""
        self.provider: list[tuple[str, float]] = []  # what Infobip was asked for, and the seconds it took
        self.redis: list[float] = []  # seconds, of each round trip
        self.code = ""
        self.error: OtpError | None = None
        self.replayed = False  # whether the answer is that of an earlier request
        self.span: Any = None  # of OpenTelemetry, where it is on

    def about(self, to: Recipient, channel: str = "") -> None:
        """It is about this recipient, who is to be reached over that channel."""
        self.to, self.channel = to, channel

    def ids(self) -> dict[str, str]:
        """By what its lines can be found."""
        ids = {"request_id": self.request_id} if self.request_id else {}
        return {**ids, "trace_id": f"{self.span.get_span_context().trace_id:032x}"} if self.span else ids


_current: ContextVar[Record | None] = ContextVar("record", default=None)


def begin(request_id: str) -> Record:
    """The record of the request that begins here, in this greenlet."""
    record = Record(request_id)
    _current.set(record)
    return record


def end() -> None:
    """It is over: what its greenlet does from here on, for another request of the connection, is not its work."""
    current().content = None  # the record lives until it is told, and needs no body for that
    _current.set(None)


def current() -> Record:
    """The record of the request that runs here; else one that nobody reads."""
    return _current.get() or Record()


def running() -> Record | None:
    """The record of the request that runs here; None for none."""
    return _current.get()
