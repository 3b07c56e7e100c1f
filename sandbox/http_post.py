"""A POST that does not block other requests of the sandbox, also in a process that gevent has not patched."""

from http.client import HTTPResponse
from urllib.parse import urlsplit

from gevent import socket

MAX_ANSWER = 64 * 1024


def head(path: str, host: str, content_type: str, length: int) -> str:
    """The head of a request with a body of `length` bytes. The connection is closed after the response."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )


def post(url: str, request: bytes, timeout: float) -> tuple[HTTPResponse, bytes]:
    """Send `request`, head and body, to the host of `url`, which has the scheme http.

    Args:
        timeout: seconds, for each wait.

    Returns:
        The response and up to MAX_ANSWER bytes of its body.

    Raises:
        OSError: there is no response.
        http.client.HTTPException: the response is not HTTP.
    """
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 80), timeout) as connection:
        connection.sendall(request)
        with HTTPResponse(connection, method="POST") as response:
            response.begin()
            return response, response.read(MAX_ANSWER)
