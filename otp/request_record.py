"""The record of the current request: every package may fill and read it; it is logged when the request is over."""

import time
from contextvars import ContextVar
from typing import Any, Literal

from otp.errors import OtpError
from otp.recipients import Recipient


class Record:
    """One request. Greenlets that run for no request, and commands, get a record that nobody reads."""

    __slots__ = (
        "channel", "client", "client_ip", "code", "content", "cost", "error", "is_client_app", "is_test", "operation",
        "provider", "rate_limit_headers", "recipient", "redis", "replayed", "request_id", "span", "started", "taken",
    )  # fmt: skip

    def __init__(self, request_id: str = "") -> None:
        self.request_id = request_id
        self.started = time.perf_counter()
        self.client_ip = ""  # the client IP address, or its network, by which limits count
        self.rate_limit_headers: dict[str, int | str] = {}  # of the response
        self.taken: list[tuple[str | int | float, ...]] = []  # from rate limits: the Redis commands that give it back
        self.is_client_app = False  # whether the address is the client app's, which has not named its end user
        self.is_test = False  # whether it is about a PIN of a test number
        self.client = ""  # the name of the client app, once its key is known to be right
        self.content: bytes | None = None  # the body, once it was read
        self.recipient: Recipient | None = None  # once it is known; it is only logged masked
        self.channel = ""
        self.operation: Literal["", "probe", "send", "verify"] = ""  # a resend is a send
        self.cost = 0.0  # of the message, in the currency of the prices, as long as the limits count it
        self.provider: list[tuple[str, float]] = []  # each operation at Infobip, and the seconds it took
        self.redis: list[float] = []  # seconds, of each round trip
        self.code = ""
        self.error: OtpError | None = None
        self.replayed = False  # whether the response is that of an earlier request
        self.span: Any = None  # of OpenTelemetry, where it is on

    def about(self, recipient: Recipient, channel: str = "") -> None:
        """Note the recipient, and the channel of a send."""
        self.recipient, self.channel = recipient, channel

    def ids(self) -> dict[str, str]:
        """The members by which its log lines can be found."""
        ids = {"request_id": self.request_id} if self.request_id else {}
        return {**ids, "trace_id": f"{self.span.get_span_context().trace_id:032x}"} if self.span else ids


_current: ContextVar[Record | None] = ContextVar("record", default=None)


def begin(request_id: str) -> Record:
    """Make the record of the request that begins in this greenlet."""
    record = Record(request_id)
    _current.set(record)
    return record


def end() -> None:
    """The request is over: what its greenlet does later belongs to other requests of the connection."""
    current().content = None  # the record lives until it is logged, and needs no body for that
    _current.set(None)


def current() -> Record:
    """The record of the request that runs here; without a request, one that nobody reads."""
    return _current.get() or Record()


def current_or_none() -> Record | None:
    """The record of the request that runs here; None without a request."""
    return _current.get()
