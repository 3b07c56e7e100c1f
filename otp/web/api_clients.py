"""Client apps: authenticated by API key, limited by rate, and they may name their end user."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from hashlib import sha256
from hmac import compare_digest
from typing import Literal

from flask import Request, g, request
from flask.typing import ResponseReturnValue

from otp.errors import InvalidHeader, Reason, TooManyRequests
from otp.redis.client import RedisClient
from otp.redis.windows import ExactWindows, WindowStorage
from otp.web.api_keys import ClientLimits
from otp.web.client_ip import network_of, read_address
from otp.web.wrong_keys import WrongKeys

View = Callable[..., ResponseReturnValue]


class ApiClients:
    """The client apps with a key. Where no key is set, every request is allowed, as a client without a name.

    Args:
        named_keys: pairs of a client's name and a key.
        limits: by the client's name; clients without limits of their own are left out.
    """

    def __init__(
        self, named_keys: Iterable[tuple[str, str]], limits: Mapping[str, ClientLimits], redis: RedisClient
    ) -> None:
        self._digests = [(name, digest(key)) for name, key in named_keys]
        self._limits = limits
        self._rates = ExactWindows(WindowStorage(redis=redis))
        self._wrong_keys = WrongKeys(redis)

    def authenticated(self, view: View) -> View:
        """Return `view`, for authenticated clients only. Sets `g.client`, and `g.client_ip` from X-End-User-IP.

        Raises:
            Unauthorized: there is no key, or it is wrong.
            TooManyRequests: too many wrong keys came from this address.
            InvalidHeader: X-End-User-IP is not one IP address.
        """

        @wraps(view)
        def authenticated_view(**path: str) -> ResponseReturnValue:
            if self._digests:
                g.client = self._name(request)
                end_user = _end_user(request)
                g.client_ip, g.is_client_app = end_user or g.client_ip, not end_user
            return view(**path)

        return authenticated_view

    def limited(self, verb: Literal["send", "verify"], view: View) -> View:
        """Return `view`, limited to the client's own rate for `verb`.

        Raises:
            TooManyRequests: the client has used up its rate.
        """

        @wraps(view)
        def limited_view() -> ResponseReturnValue:
            rate = getattr(self._limits.get(g.client), verb, None)
            if rate:
                window = self._rates.take(rate, "client", verb, g.client)
                if not window.taken:
                    raise TooManyRequests(window.wait, Reason.CLIENT_RATE)
                g.taken.append(window.to_give_back)
            return view()

        return limited_view

    def _name(self, request: Request) -> str:
        key, found = bearer(request), ""
        given = digest(key)
        for name, known in self._digests:  # all of them: the time it takes says nothing about the keys
            found = name if compare_digest(known, given) else found
        if not found:
            raise self._wrong_keys.error(key)
        return found


def bearer(request: Request) -> str:
    """The token of `Authorization: Bearer <token>` (RFC 6750); "" without one."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip(" ") if scheme.lower() == "bearer" else ""


def digest(key: str) -> bytes:
    """The SHA-256 of `key`, so that `compare_digest` compares texts of one length."""
    return sha256(key.encode()).digest()


def _end_user(request: Request) -> str:
    written = request.headers.get("X-End-User-IP")
    if written is None:
        return ""
    if "%" in written:  # a zone index means nothing on another machine (RFC 4007)
        raise InvalidHeader
    try:
        return network_of(read_address(written))
    except ValueError as e:
        raise InvalidHeader from e
