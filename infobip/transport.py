"""One request within one deadline, by `requests`: what everything that talks to Infobip stands on."""

import json
import logging
import random
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import certifi
import requests
from gevent import Timeout
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import HTTPError, ProtocolError

from errors import ProviderTimeout, ServiceUnavailable
from infobip.connections import PlainConnection, TlsConnection

log = logging.getLogger("otp.infobip")

MAX_ANSWER = 64 * 1024
PAUSE = (0.05, 0.25)  # seconds, drawn at random, before a request is repeated

_FAILURES = (requests.RequestException, HTTPError, OSError)


class Answer(NamedTuple):
    """What came back, whatever its status. The body is empty where it was over 64 KiB.

    `unsettled` where a 5xx came before, of which nobody knows what it has done.
    """

    status: int
    retry_after: str
    body: bytes
    unsettled: bool = False


class Transport:
    """Exchanges JSON with one host. Make one in each worker: a connection shared by two mixes their answers up.

    Args:
        base_url: scheme, host and perhaps a path, no slash at the end.
        headers: sent with every request.
        timeout: seconds for a whole call, from the connection to the last byte.
        pool_size: calls in flight at once; more wait for a free connection within their deadline.

    The deadline interrupts whatever the call waits for, which takes a process patched by gevent.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], *, timeout: float, pool_size: int) -> None:
        self._base_url = base_url
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # a compressed answer could be a bomb
            **headers,
        }
        self._timeout = timeout
        self._adapter = _Adapter(base_url, pool_size)

    def post(self, path: str, payload: Mapping[str, Any], *, tries: int = 1) -> Answer:
        """Post `payload`; see `request`."""
        return self.request("POST", path, payload, tries=tries)

    def request(self, method: str, path: str, payload: Mapping[str, Any] | None = None, *, tries: int = 1) -> Answer:
        """Ask for `path`. With two `tries`, repeat it once where it cannot have been read, or after a 5xx.

        Raises:
            ServiceUnavailable: the payload never left. Without one, nothing was asked for that could matter.
            ProviderTimeout: it did, and no whole answer came.
        """
        body = None if payload is None else _Body(json.dumps(payload).encode())
        call = _Call(method, path, body)
        try:
            with Timeout(self._timeout):
                return self._try(call, tries)
        except (Timeout, *_FAILURES) as e:
            log.error("provider_silent", extra={"error": type(e).__name__})
            reason = type(e).__name__
            raise (ProviderTimeout(None, reason) if call.left else ServiceUnavailable(1, reason)) from e

    def _try(self, call: "_Call", tries: int) -> Answer:
        unsettled = False
        try:
            answer = self._exchange(call)
            if answer.status < 500 or tries == 1:
                return answer
            unsettled = True
        except _FAILURES:
            if call.left or tries == 1:
                raise
        time.sleep(random.uniform(*PAUSE))
        return self._try(call, tries - 1)._replace(unsettled=unsettled)

    def _exchange(self, call: "_Call") -> Answer:
        request = requests.PreparedRequest()
        request.method, request.url, request.body = call.method, self._base_url + call.path, call.body  # type: ignore[assignment]
        request.headers = {**self._headers, **call.headers}  # type: ignore[assignment]
        with self._adapter.send(request, stream=True, timeout=self._timeout) as response:
            content = response.raw.read(MAX_ANSWER + 1, decode_content=False)
        if len(content) > MAX_ANSWER:
            content = b""
        elif response.raw.length_remaining:
            raise ProtocolError("the answer was cut off")
        return Answer(response.status_code, response.headers.get("Retry-After", ""), content)


class _Body:
    """Knows whether any of it was handed to the network. Before that, nothing was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.left = False

    def __iter__(self) -> Iterator[bytes]:
        self.left = True
        yield self.content


class _Call(NamedTuple):
    """What is asked; without a body, it asks for nothing that could change anything."""

    method: str
    path: str
    body: _Body | None

    @property
    def left(self) -> bool:
        return self.body is not None and self.body.left

    @property
    def headers(self) -> dict[str, str]:
        if self.body is None:
            return {}
        return {"Content-Type": "application/json", "Content-Length": str(len(self.body.content))}


class _Adapter(HTTPAdapter):
    """The part of `requests` that talks. Without a Session around it, nothing follows a redirect, keeps a
    cookie, reads .netrc or believes a proxy variable; and what is the same for every call is done once.
    """

    def __init__(self, base_url: str, pool_size: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=pool_size, max_retries=0, pool_block=True)
        self._pool: HTTPConnectionPool = self.poolmanager.connection_from_url(base_url)
        self._pool.ConnectionCls = TlsConnection if self._pool.scheme == "https" else PlainConnection

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Read the trusted roots once: for each connection anew, it costs milliseconds."""
        super().init_poolmanager(*args, **kwargs, ssl_context=ssl.create_default_context(cafile=certifi.where()))

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing to set: the context demands a valid certificate for the host."""

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """Every call goes to the same host."""
        return self._pool

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Only what is read here."""
        response = requests.Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        return response
