"""Client apps: which of them asks, by its key; for which end user; and how often it may."""

from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from hmac import compare_digest
from typing import Literal

from flask import Request, g, request
from flask.typing import ResponseReturnValue

from otp.errors import InvalidHeader, TooManyRequests
from otp.redis.client import RedisClient
from otp.redis.windows import ExactWindows, WindowStorage
from otp.settings.clients import ClientSettings
from otp.web.address_limits import CLIENT_RATE
from otp.web.client_ip import counted_as, read_address
from otp.web.wrong_keys import WrongKeys

View = Callable[..., ResponseReturnValue]


class ApiClients:
    """The client apps that have a key. Where no key is set, whoever asks is let in, as a client without a name."""

    def __init__(self, settings: ClientSettings, redis: RedisClient) -> None:
        self._digests = [(name, digested(key)) for name, key in settings.named_keys()]
        self._limits = settings.client_limits
        self._rates = ExactWindows(WindowStorage(redis=redis))
        self._wrong_keys = WrongKeys(redis)

    def known(self, view: View) -> View:
        """Let only known clients through to `view`; sets `g.client`, and `g.address` where the client gives it.

        Raises:
            Unauthorized: no key, or none of ours.
            TooManyRequests: too many of those that are none.
            InvalidHeader: X-End-User-IP is not one IP address.
        """

        @wraps(view)
        def for_clients(**path: str) -> ResponseReturnValue:
            if self._digests:
                g.client = self._name(request)
                end_user = _end_user(request)
                g.address, g.is_client_app = end_user or g.address, not end_user
            return view(**path)

        return for_clients

    def limited(self, verb: Literal["send", "verify"], view: View) -> View:
        """Let each client through to `view` as often as its own rate for `verb` says.

        Raises:
            TooManyRequests: more often.
        """

        @wraps(view)
        def at_a_rate() -> ResponseReturnValue:
            rate = getattr(self._limits.get(g.client), verb, None)
            if rate:
                window = self._rates.take(rate, "client", verb, g.client)
                if not window.taken:
                    raise TooManyRequests(window.wait, CLIENT_RATE)
                g.taken.append(window.to_give_back)
            return view()

        return at_a_rate

    def _name(self, request: Request) -> str:
        key, found = bearer(request), ""
        given = digested(key)
        for name, digest in self._digests:  # to the end: the time it takes tells nothing about the keys
            found = name if compare_digest(digest, given) else found
        if not found:
            raise self._wrong_keys.error(key)
        return found


def bearer(request: Request) -> str:
    """What stands in `Authorization: Bearer ...`; "" where nothing does."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip(" ") if scheme.lower() == "bearer" else ""


def digested(key: str) -> bytes:
    """For `compare_digest`: all of one length."""
    return sha256(key.encode()).digest()


def _end_user(request: Request) -> str:
    written = request.headers.get("X-End-User-IP")
    if written is None:
        return ""
    if "%" in written:  # a zone says nothing elsewhere
        raise InvalidHeader
    try:
        return counted_as(read_address(written))
    except ValueError as e:
        raise InvalidHeader from e
