"""Idempotency-Key: a request that is repeated with its key gets the same response, and nothing is sent again.

After https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. The body is kept as an HMAC under
the Idempotency-Key, and the response, which has a verification id, is encrypted under it. The key is not kept: a
reader of Redis who cannot guess it learns neither the phone number nor the id.
"""

import hmac
import json
import math
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from typing import NamedTuple

import gevent
from flask import Response, g, make_response, request
from flask.typing import ResponseReturnValue

from otp import errors, request_record
from otp.redis import keys
from otp.redis.client import RedisClient
from otp.redis.replies import invalid_reply, members, milliseconds
from otp.redis.scripts import Script
from otp.web.encrypted_text import TextCipher
from otp.web.error_responses import refusal
from otp.web.request_body import content

KEY = re.compile("[!-~]{8,128}")
KEPT = 24 * 60 * 60.0
# Seconds that a send may take in addition to the call to Infobip: some round trips to a slow Redis, 1.5 s each.
MARGIN = 10.0

_PURPOSE = b"otp:idempotency answer"
_PLACE = "otp:"  # a response is encrypted for its place, which does not depend on KEY_PREFIX

_BEGIN = Script("idempotency_begin")
_STORE = Script("idempotency_answer")
_RELEASE = Script("idempotency_release")

_REDIS_FAILED = (errors.StoreUnavailable, errors.PinNotSaved)

View = Callable[[], ResponseReturnValue]


class _KeyedRequest(NamedTuple):
    """A request with an Idempotency-Key."""

    name: str  # in Redis
    body: str
    owner: str
    cipher: TextCipher  # of its answer


class Idempotency:
    """Keeps responses for 24 hours.

    Args:
        timeout: seconds that a call to Infobip may take. A request without a response after that time and MARGIN has
            died, and whether its SMS was sent is unknown.
    """

    def __init__(self, redis: RedisClient, timeout: float) -> None:
        self._redis = redis
        self._in_flight = milliseconds(timeout + MARGIN)

    def once(self, view: View) -> View:
        """Return `view`, run once for each Idempotency-Key of a client. Without the header, nothing changes.

        The response is kept if something may have been sent. Otherwise the key can be used again.

        Raises:
            InvalidHeader: the key is not 8 to 128 visible ASCII characters.
            RequestInProgress, IdempotencyKeyReused: see `errors`.
            ProviderTimeout: the first request died before it had a response.
            StoreUnavailable: Redis did not answer. Nothing was sent.
        """

        @wraps(view)
        def idempotent() -> ResponseReturnValue:
            key = request.headers.get("Idempotency-Key")
            if key is None:
                return view()
            keyed = _read(key)
            return self._begin(keyed) or self._run(keyed, view)

        return idempotent

    def _begin(self, keyed: _KeyedRequest) -> Response | None:
        try:
            first = self._redis.run(_BEGIN([keyed.name], keyed.owner, keyed.body, milliseconds(KEPT)))[0]
        except errors.StoreUnavailable:
            # Redis may have taken the key all the same. Nothing was sent, so the key must be free for the next try.
            gevent.spawn(self._finish, _RELEASE, keyed)
            raise
        if first is None:
            return None
        body, answer, age, since_answer = members(first, str, str, int, int)
        if body != keyed.body:
            raise errors.IdempotencyKeyReused
        if answer:
            return _replay(_decrypt(keyed, answer), since_answer / 1000)
        raise errors.RequestInProgress(1) if age < self._in_flight else errors.ProviderTimeout

    def _run(self, keyed: _KeyedRequest, view: View) -> Response:
        finish: Callable[..., object] = self._finish
        try:
            response = make_response(view())
        except errors.OtpError as e:
            if isinstance(e, _REDIS_FAILED):  # Redis has failed: the client does not wait for it once more
                finish = partial(gevent.spawn, self._finish)
            if not e.may_have_sent:
                finish(_RELEASE, keyed)
                raise
            response = refusal(e)
        finish(_STORE, keyed, keyed.cipher.encrypt(_serialize(response), _PLACE + keyed.name))
        return response

    def _finish(self, script: Script, keyed: _KeyedRequest, *answer: str) -> None:
        with suppress(errors.StoreUnavailable):  # the outcome for this key stays unknown
            self._redis.run_idempotent(script([keyed.name], keyed.owner, *answer))


def _read(key: str) -> _KeyedRequest:
    if not KEY.fullmatch(key):
        raise errors.InvalidHeader
    whose = f"client {g.client}" if g.client else f"address {g.client_ip}"
    body = hmac.digest(key.encode(), request.path.encode() + b"\n" + content(request), "sha256").hex()
    return _KeyedRequest(keys.idempotency(whose, key), body, secrets.token_hex(8), TextCipher(key.encode(), _PURPOSE))


def _serialize(response: Response) -> str:
    wait = int(response.headers.get("Retry-After", 0))
    return json.dumps({"status": response.status_code, "body": response.get_data(as_text=True), "retryAfter": wait})


def _decrypt(keyed: _KeyedRequest, encrypted: str) -> str:
    try:
        return keyed.cipher.decrypt(encrypted, _PLACE + keyed.name)
    except ValueError as e:  # written by another program, or by a version without encryption
        raise invalid_reply() from e


def _replay(answer: str, age: float) -> Response:
    """The response that was given `age` seconds ago."""
    kept, replayed = json.loads(answer), request_record.current()
    replayed.replayed, replayed.code = True, json.loads(kept["body"]).get("code", "")
    response = Response(kept["body"], kept["status"], mimetype="application/json")
    if (wait := math.ceil(kept["retryAfter"] - age)) > 0:
        response.headers["Retry-After"] = str(wait)
    return response
