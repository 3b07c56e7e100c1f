"""Idempotency-Key: the same request asked again gets the same answer, and sends nothing again.

otp:idempotency:<SHA-256 of client and key>   hash of owner, body and answer   lives 24 hours from the first request

After https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. The body is kept as an HMAC under
the client's key, and the answer, which has a verification id, is encrypted under it. The key itself is not kept: who
reads Redis and cannot guess it learns neither the phone number nor the id.
"""

import hmac
import json
import math
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from hashlib import sha256
from typing import NamedTuple

import gevent
from flask import Response, g, make_response, request
from flask.typing import ResponseReturnValue

from otp.errors import (
    IdempotencyKeyReused,
    InvalidHeader,
    OtpError,
    PinNotSaved,
    ProviderTimeout,
    RequestInProgress,
    StoreUnavailable,
)
from otp.redis.client import RedisClient
from otp.redis.replies import members, milliseconds, nonsense
from otp.redis.scripts import Script
from otp.telemetry import record
from otp.web.encrypted_text import TextCipher
from otp.web.error_responses import refusal
from otp.web.request_body import content

KEY = re.compile("[!-~]{8,128}")
KEPT = 24 * 60 * 60.0
# What a send may take beside the call to Infobip: some answers of a Redis that is slow, at 1.5 s each.
MARGIN = 10.0

_PURPOSE = b"otp:idempotency answer"
_PLACE = "otp:"  # an answer is encrypted for its place; it stays the same whatever KEY_PREFIX is

_BEGIN = Script("idempotency_begin")
_STORE = Script("idempotency_answer")
_RELEASE = Script("idempotency_release")

_REDIS_FAILED = (StoreUnavailable, PinNotSaved)

View = Callable[[], ResponseReturnValue]


class _Asked(NamedTuple):
    """A request that has an Idempotency-Key."""

    name: str  # in Redis
    body: str
    owner: str
    cipher: TextCipher  # of its answer


class Idempotency:
    """Keeps what was answered.

    Args:
        timeout: seconds that a call to Infobip may take. Who has no answer that much (and MARGIN) later has died on
            the way, and what came of the SMS is unknown for good.
    """

    def __init__(self, redis: RedisClient, timeout: float) -> None:
        self._redis = redis
        self._in_flight = milliseconds(timeout + MARGIN)

    def once(self, view: View) -> View:
        """Have `view` run once for one Idempotency-Key of one client. Without the header, nothing changes.

        An answer is kept where something may have been sent. Where nothing was, the key is free again.

        Raises:
            InvalidHeader: the key is not 8 to 128 visible ASCII characters.
            RequestInProgress, IdempotencyKeyReused: see `errors`.
            ProviderTimeout: the first request died on the way.
            StoreUnavailable: Redis did not answer; nothing is sent then.
        """

        @wraps(view)
        def idempotent() -> ResponseReturnValue:
            key = request.headers.get("Idempotency-Key")
            if key is None:
                return view()
            asked = _read(key)
            return self._begin(asked) or self._run(asked, view)

        return idempotent

    def _begin(self, asked: _Asked) -> Response | None:
        try:
            first = self._redis.run(_BEGIN([asked.name], asked.owner, asked.body, milliseconds(KEPT)))[0]
        except StoreUnavailable:
            # It may have begun all the same, and nothing is sent: the key must be free for the next try.
            gevent.spawn(self._finish, _RELEASE, asked)
            raise
        if first is None:
            return None
        body, answer, age, since_answer = members(first, str, str, int, int)
        if body != asked.body:
            raise IdempotencyKeyReused
        if answer:
            return _replay(_read_answer(asked, answer), since_answer / 1000)
        raise RequestInProgress(1) if age < self._in_flight else ProviderTimeout

    def _run(self, asked: _Asked, view: View) -> Response:
        finish: Callable[..., object] = self._finish
        try:
            response = make_response(view())
        except OtpError as e:
            if isinstance(e, _REDIS_FAILED):  # who has waited for Redis in vain does not wait for it again
                finish = partial(gevent.spawn, self._finish)
            # A send that Redis fails was not sent yet: after the SMS, the error is PinNotSaved.
            if e.nothing_done or isinstance(e, StoreUnavailable):
                finish(_RELEASE, asked)
                raise
            response = refusal(e)
        finish(_STORE, asked, asked.cipher.encrypt(_kept(response), _PLACE + asked.name))
        return response

    def _finish(self, script: Script, asked: _Asked, *answer: str) -> None:
        with suppress(StoreUnavailable):  # what happened has happened; for this key it is then unknown
            self._redis.run_surely(script([asked.name], asked.owner, *answer))


def _read(key: str) -> _Asked:
    if not KEY.fullmatch(key):
        raise InvalidHeader
    whose = f"client {g.client}" if g.client else f"address {g.address}"
    name = "idempotency:" + sha256(f"{whose}\n{key}".encode()).hexdigest()
    body = hmac.digest(key.encode(), request.path.encode() + b"\n" + content(request), "sha256").hex()
    return _Asked(name, body, secrets.token_hex(8), TextCipher(key.encode(), _PURPOSE))


def _kept(response: Response) -> str:
    wait = int(response.headers.get("Retry-After", 0))
    return json.dumps({"status": response.status_code, "body": response.get_data(as_text=True), "retryAfter": wait})


def _read_answer(asked: _Asked, encrypted: str) -> str:
    try:
        return asked.cipher.decrypt(encrypted, _PLACE + asked.name)
    except ValueError as e:  # somebody else has written there, or a version that did not encrypt
        raise nonsense() from e


def _replay(answer: str, age: float) -> Response:
    """The kept `answer`, given `age` seconds ago."""
    kept, replayed = json.loads(answer), record.current()
    replayed.replayed, replayed.code = True, json.loads(kept["body"]).get("code", "")
    response = Response(kept["body"], kept["status"], mimetype="application/json")
    if (wait := math.ceil(kept["retryAfter"] - age)) > 0:
        response.headers["Retry-After"] = str(wait)
    return response
