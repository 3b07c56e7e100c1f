"""A POST that waits without stopping the rest of the sandbox, whether or not its process is patched."""

from http.client import HTTPResponse
from urllib.parse import urlsplit

from gevent import socket

MAX_ANSWER = 64 * 1024


def head(path: str, host: str, content_type: str, length: int) -> str:
    """What goes before a body of `length` bytes; the connection is closed after the answer."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )


def post(url: str, request: bytes, timeout: float) -> tuple[HTTPResponse, bytes]:
    """Send `request`, head and body, to the host of `url`, which is an http one.

    Args:
        timeout: seconds, for each wait.

    Returns:
        The answer and the beginning of its body.

    Raises:
        OSError: nothing answers.
        http.client.HTTPException: what answers speaks no HTTP.
    """
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 80), timeout) as connection:
        connection.sendall(request)
        with HTTPResponse(connection, method="POST") as response:
            response.begin()
            return response, response.read(MAX_ANSWER)
