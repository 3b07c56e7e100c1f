"""Responds with the faults of the test numbers."""

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
CONNECTION = "sandbox.connection"  # the key of the client's socket in the WSGI environment

Answer = dict[str, Any] | Response


def respond(fault: Fault | None, act: Callable[[], dict[str, Any]]) -> Answer:
    """Call `act` and return its response, changed by `fault`.

    Raises:
        ApiError: the fault is an error of Infobip's; then `act` is not called.
    """
    if fault in _INSTEAD:
        return _INSTEAD[fault]()
    answer = act()
    return _WITH[fault](answer) if fault in _WITH else answer


def _error() -> Response:
    raise ApiError(500, "GENERAL_ERROR", "Something went wrong. Please contact support.")


def _throttle() -> Response:
    raise too_many_requests(retry_after=30)


def _redirect() -> Response:
    return redirect("https://infobip.example/maintenance", 307)  # type: ignore[return-value]


def _html() -> Response:
    return Response("<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>", mimetype="text/html")


def _silence(answer: dict[str, Any]) -> Answer:
    gevent.sleep(SILENCE)
    return answer


def _reset(_: Mapping[str, Any]) -> Response:
    connection: socket.socket = request.environ[CONNECTION]

    def cut() -> Iterator[bytes]:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
        raise ConnectionResetError(errno.ECONNRESET, "on purpose")
        yield b""

    return Response(cut(), mimetype="application/json")


def _drip(answer: dict[str, Any]) -> Response:
    content = json.dumps(answer).encode()

    def drip() -> Iterator[bytes]:
        for byte in content:
            yield bytes([byte])
            gevent.sleep(1)

    return Response(drip(), mimetype="application/json", headers={"Content-Length": str(len(content))})


_INSTEAD: dict[Fault | None, Callable[[], Response]] = {
    Fault.ERROR: _error,
    Fault.THROTTLED: _throttle,
    Fault.REDIRECT: _redirect,
    Fault.HTML: _html,
}
_WITH: dict[Fault | None, Callable[[dict[str, Any]], Answer]] = {
    Fault.SILENCE: _silence,
    Fault.RESET: _reset,
    Fault.DRIP: _drip,
}
