"""The simulated phones: the messages that arrived, for programs (GET /inbox, GET /events) and as a page (GET /)."""

import json
import secrets
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import gevent
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from sandbox import test_numbers
from sandbox.grammar import without_plus
from sandbox.model import Channel
from sandbox.pins import Message
from sandbox.relay import NoAnswerError, Relay
from sandbox.two_factor import TwoFactor

MAX_BODY = 64 * 1024  # more than the service accepts, so that its error can be seen
POLL = 0.2  # seconds
SUBJECT = "Your verification code"  # of all e-mails: real subjects are in templates that the sandbox does not have
KEEP_ALIVE = 15.0  # seconds; the server notices only by a write that a client has gone

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Inbox:
    """The views. The page calls the service through `relay`, because the service refuses pages of other origins."""

    def __init__(self, two_factor: TwoFactor, relay: Relay) -> None:
        self._two_factor = two_factor
        self._relay = relay
        self._run = secrets.token_hex(8)  # shows the page that message ids start again

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        views = Blueprint("inbox", __name__, static_folder="page", static_url_path="/page")
        views.get("/", endpoint="page")(partial(views.send_static_file, "index.html"))
        views.get("/inbox")(self.inbox)
        views.get("/events")(self.events)
        views.get("/try")(self.describe_service)
        views.post("/try/<any('send-otp', 'resend-otp', 'verify-otp'):operation>")(self.call_service)
        views.after_request(_add_headers)
        app.register_blueprint(views)

    def inbox(self) -> dict[str, Any]:
        """GET /inbox: all messages, the newest first; `?to=+14155552671` selects those to one number or address."""
        to = without_plus(request.args.get("to", "").replace(" ", "+"))  # a + in a query string means a space
        messages = self._two_factor.changes(0)[1]
        return {"messages": [self._message_json(m) for m in reversed(messages) if to in ("", m.pin.to)]}

    def events(self) -> Response:
        """GET /events: the number of kept messages, these messages, then each new or changed one, endlessly."""
        return Response(self._events(), mimetype="text/event-stream")

    def describe_service(self) -> dict[str, Any]:
        """GET /try: what the page shows about the service."""
        numbers = [{"phoneNumber": f"+{each.number}", "outcome": each.meaning} for each in test_numbers.TABLE]
        return {"service": self._relay.public_url, "limits": self._relay.limits, "numbers": numbers}

    def call_service(self, operation: str) -> tuple[dict[str, Any], int]:
        """POST /try/send-otp, /try/resend-otp and /try/verify-otp: the service's response to this body."""
        body = request.stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise RequestEntityTooLarge
        try:
            # The client's own Content-Type: other origins cannot send JSON without a CORS preflight, which is refused.
            exchange = self._relay.post(f"/{operation}", request.headers.get("Content-Type", ""), body)
        except NoAnswerError as e:
            return {"error": str(e)}, 502
        return {
            "status": exchange.status,
            "retryAfter": exchange.retry_after,
            "body": exchange.body,
            "request": exchange.request,
            "answer": exchange.answer,
        }, 200

    def _events(self) -> Iterator[str]:
        version, messages = self._two_factor.changes(0)
        yield f"retry: 500\n\n{_event('start', {'run': self._run, 'kept': len(messages)})}"
        written = time.monotonic()
        while True:
            text = "".join(_event("message", self._message_json(m)) for m in messages)
            if text or time.monotonic() - written > KEEP_ALIVE:
                yield text or ": still here\n\n"
                written = time.monotonic()
            gevent.sleep(POLL)
            version, messages = self._two_factor.changes(version)

    def _message_json(self, message: Message) -> dict[str, Any]:
        pin, now = message.pin, self._two_factor.now()
        subject = {"subject": SUBJECT} if message.channel is Channel.EMAIL else {}
        return {
            "id": message.serial,
            "channel": message.channel,
            "to": pin.recipient,
            "from": message.sender,
            **subject,
            "text": message.text,
            "pin": pin.value,
            "sentAt": message.sent_at,
            "state": pin.state(now),
            "expiresIn": max(0, round(pin.expires_at - now, 3)),
            "attemptsUsed": pin.attempts_used,
            "attemptsAllowed": pin.attempts_allowed,
        }


def _event(name: str, content: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"


def _add_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.endpoint != "inbox.static":
        response.headers["Cache-Control"] = "no-store"
    return response
