"""The outermost WSGI layer: request ids, the record of a request, and the headers that every response has."""

import random
import re
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from otp import request_record
from otp.telemetry.request_log import RequestLog
from otp.web.client_ip import client_address

_REQUEST_ID = re.compile("[A-Za-z0-9._-]{8,64}")
_EMPTY = ("Content-Length", "0")

Headers = list[tuple[str, str]]


class Border:
    """Gives each request an id and a record, and each response the headers that all of them have.

    It is one WSGI layer because six Flask hooks cost four times as much CPU (measured).

    Args:
        application: the WSGI application inside.
        request_log: logs and counts each request.
        trusted_proxies: see `client_address`.
    """

    def __init__(self, application: WSGIApplication, request_log: RequestLog, trusted_proxies: int) -> None:
        self._application = application
        self._request_log = request_log
        self._trusted_proxies = trusted_proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request of `environ`."""
        known = request_record.begin(_request_id(environ))
        known.client_ip = client_address(environ, self._trusted_proxies)

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            self._request_log.respond(known, environ, int(status[:3]))
            return start_response(status, _complete(headers, known.request_id), exc_info)

        self._request_log.begin(known, environ)
        try:
            return self._application(environ, start)
        finally:
            self._request_log.end()
            request_record.end()


def new_request_id() -> str:
    """32 hex digits; not a secret."""
    return f"{random.getrandbits(128):032x}"


def _request_id(environ: WSGIEnvironment) -> str:
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _REQUEST_ID.fullmatch(given) else new_request_id()


def _complete(headers: Headers, request_id: str) -> Headers:
    if _EMPTY in headers:  # OPTIONS: an empty body has no type
        headers = [each for each in headers if each[0] != "Content-Type"]
    headers.append(("X-Request-ID", request_id))
    if not any(name == "Cache-Control" for name, _ in headers):
        headers.append(("Cache-Control", "no-store"))
    headers.append(("X-Content-Type-Options", "nosniff"))
    return headers
