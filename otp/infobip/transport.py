"""Sends one request to Infobip within one deadline, through `requests`."""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import requests

from otp.errors import ProviderTimeout, ServiceUnavailable
from otp.http_client.adapter import OneHostAdapter, prepare
from otp.http_client.authorities import Authorities
from otp.http_client.connection import NothingSent
from otp.http_client.proxy import Proxy

log = logging.getLogger("otp.infobip")

PAUSE = (0.05, 0.25)  # seconds, drawn at random, before a request is repeated


class Response(NamedTuple):
    """A response of any status. The body is empty if it was over 64 KiB.

    `after_server_error`: an earlier attempt had a 5xx, whose effect is unknown.
    """

    status: int
    retry_after: str
    body: bytes
    after_server_error: bool = False


class Transport:
    """Exchanges JSON with one host. Each worker needs its own: two processes must not share a connection.

    Args:
        base_url: scheme, host and optionally a path, without a slash at the end.
        headers: are sent with every request.
        timeout: seconds for a whole call, from connecting to the last byte.
        pool_size: idle connections that are kept between calls.
        proxy: connects through it.
        authorities: the certificate authorities that are trusted; None for those of certifi.
        sleep: waits for seconds, before a request is repeated.

    The deadline includes the DNS lookup only in a process that gevent has patched.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        pool_size: int,
        proxy: Proxy | None = None,
        authorities: Authorities | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base_url = base_url
        self._headers = headers
        self._headers_with_body = {**headers, "Content-Type": "application/json"}
        self._timeout = timeout
        self._sleep = sleep
        self._adapter = OneHostAdapter(base_url, pool_size, proxy, authorities)

    def post(self, path: str, payload: Mapping[str, Any], *, attempts: int = 1) -> Response:
        """Post `payload`; see `request`."""
        return self.request("POST", path, payload, attempts=attempts)

    def request(
        self, method: str, path: str, payload: Mapping[str, Any] | None = None, *, attempts: int = 1
    ) -> Response:
        """Send a request. With two `attempts`, repeat it once if the host cannot have read it, or after a 5xx.

        Raises:
            ServiceUnavailable: the payload was not sent, or there was none, so that nothing was changed.
            ProviderTimeout: the payload was sent, and no complete response arrived.
        """
        call = _Call(self._prepare(method, path, payload), time.monotonic() + self._timeout)
        try:
            return self._try(call, attempts)
        except requests.RequestException as e:
            name = type(e.__cause__ or e).__name__
            log.error("provider_silent", extra={"error": name})
            raise (ProviderTimeout(detail=name) if call.was_sent else ServiceUnavailable(1, detail=name)) from e

    def _prepare(self, method: str, path: str, payload: Mapping[str, Any] | None) -> requests.PreparedRequest:
        if payload is None:
            return prepare(method, self._base_url + path, self._headers)
        return prepare(method, self._base_url + path, self._headers_with_body, json.dumps(payload).encode())

    def _try(self, call: "_Call", attempts: int) -> Response:
        after_server_error = False
        try:
            response = self._exchange(call)
            if response.status < 500 or attempts == 1:
                return response
            after_server_error = True
        except requests.RequestException:
            if call.was_sent or attempts == 1:
                raise
        self._sleep(random.uniform(*PAUSE))
        return self._try(call, attempts - 1)._replace(after_server_error=after_server_error)

    def _exchange(self, call: "_Call") -> Response:
        was_sent_before, call.was_sent = call.was_sent, call.request.body is not None
        try:
            response = self._adapter.send(call.request, timeout=call.deadline - time.monotonic())
        except NothingSent:
            call.was_sent = was_sent_before
            raise
        return Response(response.status_code, response.headers.get("Retry-After", ""), response.content)


class _Call:
    """A request, its deadline (time.monotonic()), and whether its payload may have been read.

    A request without a payload changes nothing.
    """

    __slots__ = ("deadline", "request", "was_sent")

    def __init__(self, request: requests.PreparedRequest, deadline: float) -> None:
        self.request, self.deadline = request, deadline
        self.was_sent = False
