"""The part of `requests` that talks, to one host. Without a Session around it, nothing follows a redirect, keeps a
cookie, reads .netrc or believes a proxy variable; and what is the same for every call is done once.
"""

import io
import re
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
from gevent import Timeout
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from otp.infobip.authorities import Authorities
from otp.infobip.connection import Connection, NothingSent
from otp.infobip.connection_pool import ConnectionPool, Opener
from otp.infobip.http_response import HttpResponse
from otp.infobip.proxy import Proxy

_TARGET = re.compile("/[!-~]*")
_LINE = re.compile("[ -~]*")


class OneHostAdapter(HTTPAdapter):
    """Sends requests over kept connections. A call takes 61 to 99 us of CPU; by urllib3 and http.client 242 to 437.

    Args:
        base_url: scheme and host of every request.
        pool_size: connections that are kept at most.
        proxy: through which all of them go; no variable of the environment names one.
        authorities: who may have signed the host's certificate; None for those that everybody believes (certifi's).
    """

    def __init__(
        self, base_url: str, pool_size: int, proxy: Proxy | None = None, authorities: Authorities | None = None
    ) -> None:
        url = urlsplit(base_url)
        self._origin, self._host = f"{url.scheme}://{url.netloc}", url.netloc
        is_tls = url.scheme == "https"
        context = _tls_context(authorities) if is_tls else None
        opener = Opener(url.hostname or "", url.port or (443 if is_tls else 80), context, proxy)
        self._pool = ConnectionPool(opener, pool_size)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *_: Any, **__: Any) -> None:
        """Make none of urllib3's pools."""

    def close(self) -> None:
        """End the kept connections."""
        self._pool.close()

    def send(self, request: requests.PreparedRequest, *_: Any, timeout: Any = 10, **__: Any) -> requests.Response:
        """Send it and read the whole response within `timeout` seconds.

        Raises:
            NothingSent: it cannot have been read.
            requests.RequestException: it may have been.
        """
        deadline = time.monotonic() + timeout
        written = self._written(request)
        connection = self._connection(deadline)
        received = None
        try:
            received = connection.exchange(written, deadline)
        except NothingSent:
            raise
        except OSError as e:
            raise (requests.Timeout if time.monotonic() >= deadline else requests.ConnectionError) from e
        finally:
            # Also where a greenlet is killed: an answer that is still to come must not meet the next question.
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

    def _written(self, request: requests.PreparedRequest) -> bytes:
        """Head and body in one piece, which is one system call and one packet."""
        target = str(request.url).removeprefix(self._origin)
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if not _TARGET.fullmatch(target) or not all(map(_LINE.fullmatch, lines)):
            raise NothingSent("a line break, or a blank in the path, would make something else of the request")
        body = request.body or b""
        assert isinstance(body, bytes)
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _tls_context(authorities: Authorities | None) -> ssl.SSLContext:
    """Demands a valid certificate for the host. Made once: to read the roots takes milliseconds."""
    pem, file = (authorities.pem, None) if authorities else (None, certifi.where())
    context = ssl.create_default_context(cafile=file, cadata=pem)
    context.set_alpn_protocols(["http/1.1"])
    # Python writes the keys of all connections to the file that SSLKEYLOGFILE names.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _response(request: requests.PreparedRequest, received: HttpResponse) -> requests.Response:
    response = requests.Response()
    response.status_code, response.headers = received.status, CaseInsensitiveDict(received.headers)
    response.request, response.url = request, str(request.url)
    response.raw = io.BytesIO(received.body)
    return response
