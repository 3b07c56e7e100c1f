"""The phones: what arrived on them."""

from typing import Any

from flask import Flask, request

from sandbox.pins import Message
from sandbox.two_factor import TwoFactor


class Inbox:
    """The views."""

    def __init__(self, two_factor: TwoFactor) -> None:
        self._two_factor = two_factor

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        app.get("/inbox")(self.inbox)

    def inbox(self) -> dict[str, Any]:
        """Answer GET /inbox: every message, newest first; `?to=14155552671` for those of one number."""
        to = request.args.get("to", "").strip().removeprefix("+")
        _, messages = self._two_factor.changes()
        return {"messages": [_shown(m) for m in reversed(messages) if to in ("", m.pin.to)]}


def _shown(message: Message) -> dict[str, Any]:
    to = message.pin.to
    return {
        "to": to if "@" in to else f"+{to}",
        "from": message.sender,
        "text": message.text,
        "pin": message.pin.value,
        "sentAt": message.sent_at,
    }
