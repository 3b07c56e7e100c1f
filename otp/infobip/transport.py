"""One request within one deadline, by `requests`: what everything that talks to Infobip stands on."""

import json
import logging
import random
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import requests
from requests.structures import CaseInsensitiveDict

from otp.errors import ProviderTimeout, ServiceUnavailable
from otp.infobip.adapter import OneHostAdapter
from otp.infobip.authorities import Authorities
from otp.infobip.connection import NothingSent
from otp.infobip.proxy import Proxy

log = logging.getLogger("otp.infobip")

PAUSE = (0.05, 0.25)  # seconds, drawn at random, before a request is repeated


class Response(NamedTuple):
    """What came back, whatever its status. The body is empty where it was over 64 KiB.

    `after_server_error` where a 5xx came before, of which nobody knows what it has done.
    """

    status: int
    retry_after: str
    body: bytes
    after_server_error: bool = False


class Transport:
    """Exchanges JSON with one host. Make one in each worker: a connection shared by two mixes their answers up.

    Args:
        base_url: scheme, host and perhaps a path, no slash at the end.
        headers: sent with every request.
        timeout: seconds for a whole call, from the connection to the last byte.
        pool_size: connections that are kept between two calls.
        proxy: through which it connects.
        authorities: whose certificates it believes; None for those that everybody does.

    A look-up of the host is within the deadline only in a process patched by gevent.
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
    ) -> None:
        self._base_url = base_url
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # a compressed response could be a bomb
            **headers,
        }
        self._timeout = timeout
        self._adapter = OneHostAdapter(base_url, pool_size, proxy, authorities)

    def post(self, path: str, payload: Mapping[str, Any], *, attempts: int = 1) -> Response:
        """Post `payload`; see `request`."""
        return self.request("POST", path, payload, attempts=attempts)

    def request(
        self, method: str, path: str, payload: Mapping[str, Any] | None = None, *, attempts: int = 1
    ) -> Response:
        """Ask for `path`. With two `attempts`, repeat it once where it cannot have been read, or after a 5xx.

        Raises:
            ServiceUnavailable: the payload never left. Without one, nothing was asked for that could matter.
            ProviderTimeout: it did, and no whole response came.
        """
        call = _Call(self._prepared(method, path, payload), time.monotonic() + self._timeout)
        try:
            return self._try(call, attempts)
        except requests.RequestException as e:
            name = type(e.__cause__ or e).__name__
            log.error("provider_silent", extra={"error": name})
            raise (ProviderTimeout(detail=name) if call.was_sent else ServiceUnavailable(1, detail=name)) from e

    def _prepared(self, method: str, path: str, payload: Mapping[str, Any] | None) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.method, request.url = method, self._base_url + path
        request.headers = CaseInsensitiveDict(self._headers)
        if payload is not None:
            request.body = json.dumps(payload).encode()
            request.headers["Content-Type"] = "application/json"
            request.headers["Content-Length"] = str(len(request.body))
        return request

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
        time.sleep(random.uniform(*PAUSE))
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
    """What is asked, until when (by time.monotonic()), and whether its payload may have been read.

    Without a payload, it asks for nothing that could change anything.
    """

    __slots__ = ("deadline", "request", "was_sent")

    def __init__(self, request: requests.PreparedRequest, deadline: float) -> None:
        self.request, self.deadline = request, deadline
        self.was_sent = False
