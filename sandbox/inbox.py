"""The phones: what arrived on them, for programs (GET /inbox, GET /events) and for people (GET /, a page)."""

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
from sandbox.grammar import unsigned
from sandbox.model import Channel
from sandbox.pins import Message
from sandbox.relay import NoAnswerError, Relay
from sandbox.two_factor import TwoFactor

MAX_BODY = 64 * 1024  # over the service's own limit, so that its refusal can be seen
POLL = 0.2  # seconds
SUBJECT = "Your verification code"  # of every e-mail: its own is in a template that the sandbox does not have
KEEP_ALIVE = 15.0  # seconds; a write is how the server notices that a client has gone

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Inbox:
    """The views. The page asks the service through `relay`, for the service lets no page of another origin in."""

    def __init__(self, two_factor: TwoFactor, relay: Relay) -> None:
        self._two_factor = two_factor
        self._relay = relay
        self._run = secrets.token_hex(8)  # the ids of messages begin anew in each

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        views = Blueprint("inbox", __name__, static_folder="page", static_url_path="/page")
        views.get("/", endpoint="page")(partial(views.send_static_file, "index.html"))
        views.get("/inbox")(self.inbox)
        views.get("/events")(self.events)
        views.get("/try")(self.offer)
        views.post("/try/<any('send-otp', 'resend-otp', 'verify-otp'):operation>")(self.attempt)
        views.after_request(_finish)
        app.register_blueprint(views)

    def inbox(self) -> dict[str, Any]:
        """Answer GET /inbox: every message, newest first; `?to=+14155552671` for those of one number or address."""
        to = unsigned(request.args.get("to", "").replace(" ", "+"))  # a + in a query string means a blank
        messages = self._two_factor.changes(0)[1]
        return {"messages": [self._shown(m) for m in reversed(messages) if to in ("", m.pin.to)]}

    def events(self) -> Response:
        """Answer GET /events: how many messages are kept, these, then each new or changed one, without an end."""
        return Response(self._events(), mimetype="text/event-stream")

    def offer(self) -> dict[str, Any]:
        """Answer GET /try: what the page tells people about the service."""
        numbers = [{"phoneNumber": f"+{each.number}", "outcome": each.meaning} for each in test_numbers.TABLE]
        return {"service": self._relay.shown, "limits": self._relay.limits, "numbers": numbers}

    def attempt(self, operation: str) -> tuple[dict[str, Any], int]:
        """Answer POST /try/send-otp, /try/resend-otp and /try/verify-otp: what the service answers to this body."""
        body = request.stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise RequestEntityTooLarge
        try:
            # The client's own type: other origins cannot send JSON without being asked first, and then get a no.
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
            text = "".join(_event("message", self._shown(m)) for m in messages)
            if text or time.monotonic() - written > KEEP_ALIVE:
                yield text or ": still here\n\n"
                written = time.monotonic()
            gevent.sleep(POLL)
            version, messages = self._two_factor.changes(version)

    def _shown(self, message: Message) -> dict[str, Any]:
        pin, now = message.pin, self._two_factor.now()
        subject = {"subject": SUBJECT} if message.channel is Channel.EMAIL else {}
        return {
            "id": message.serial,
            "channel": message.channel,
            "to": pin.to if "@" in pin.to else f"+{pin.to}",
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


def _finish(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.endpoint != "inbox.static":
        response.headers["Cache-Control"] = "no-store"
    return response
