"""What a number with a fixed outcome does to the answer."""

import errno
import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gevent
from flask import Response, redirect, request

from sandbox.api_error import ApiError, too_many_requests
from sandbox.test_numbers import Fault

SILENCE = 60.0  # seconds
CONNECTION = "sandbox.connection"  # where the server puts the client's socket into the WSGI environment

Answer = dict[str, Any] | Response


def answered(fault: Fault | None, act: Callable[[], dict[str, Any]]) -> Answer:
    """Do `act` and answer with what it returns, as far as `fault` lets it.

    Raises:
        ApiError: the fault is one of Infobip's refusals; then `act` is not done.
    """
    if fault in _INSTEAD:
        return _INSTEAD[fault]()
    answer = act()
    return _WITH[fault](answer) if fault in _WITH else answer


def _error() -> Response:
    raise ApiError(500, "GENERAL_ERROR", "Something went wrong. Please contact support.")


def _throttled() -> Response:
    raise too_many_requests(retry_after=30)


def _redirected() -> Response:
    return redirect("https://infobip.example/maintenance", 307)  # type: ignore[return-value]


def _html() -> Response:
    return Response("<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>", mimetype="text/html")


def _silent(answer: dict[str, Any]) -> Answer:
    gevent.sleep(SILENCE)
    return answer


def _reset(_: Mapping[str, Any]) -> Response:
    connection: socket.socket = request.environ[CONNECTION]

    def cut() -> Iterator[bytes]:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
        raise ConnectionResetError(errno.ECONNRESET, "on purpose")
        yield b""

    return Response(cut(), mimetype="application/json")


def _dripping(answer: dict[str, Any]) -> Response:
    content = json.dumps(answer).encode()

    def drip() -> Iterator[bytes]:
        for byte in content:
            yield bytes([byte])
            gevent.sleep(1)

    return Response(drip(), mimetype="application/json", headers={"Content-Length": str(len(content))})


_INSTEAD: dict[Fault | None, Callable[[], Response]] = {
    Fault.ERROR: _error,
    Fault.THROTTLED: _throttled,
    Fault.REDIRECT: _redirected,
    Fault.HTML: _html,
}
_WITH: dict[Fault | None, Callable[[dict[str, Any]], Answer]] = {
    Fault.SILENCE: _silent,
    Fault.RESET: _reset,
    Fault.DRIP: _dripping,
}
