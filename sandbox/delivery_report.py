"""The body of a delivery report: the outcome of a message, with the published status and error codes."""

from datetime import UTC, datetime
from typing import Any

from sandbox.model import Channel
from sandbox.pins import Message

Json = dict[str, Any]

DELIVERED: Json = {
    "groupId": 3,
    "groupName": "DELIVERED",
    "id": 5,
    "name": "DELIVERED_TO_HANDSET",
    "description": "Message delivered to handset",
}
UNDELIVERABLE: Json = {
    "groupId": 2,
    "groupName": "UNDELIVERABLE",
    "id": 9,
    "name": "UNDELIVERABLE_NOT_DELIVERED",
    "description": "Message sent not delivered",
}
PRICES = {Channel.SMS: 0.05, Channel.VOICE: 0.08}  # EUR
OK: Json = {"groupId": 0, "groupName": "OK"}
# An answered call has a permanent "error" of the group OK: clients must not look at `permanent` alone.
NO_ERROR: dict[Channel, Json] = {
    Channel.SMS: {**OK, "id": 0, "name": "NO_ERROR", "description": "No Error", "permanent": False},
    Channel.VOICE: {
        **OK,
        "id": 5000,
        "name": "VOICE_ANSWERED",
        "description": "Call answered by human",
        "permanent": True,
    },
}
ABSENT: Json = {
    "groupId": 1,
    "groupName": "HANDSET_ERRORS",
    "id": 27,
    "name": "EC_ABSENT_SUBSCRIBER",
    "description": "Absent Subscriber",
    "permanent": False,
}


def report_body(message: Message, done_at: float) -> Json:
    """The report of an SMS or a call. `done_at`: Unix seconds."""
    result: Json = {
        "messageId": message.message_id,
        "to": message.pin.to,
        "sender": message.sender,
        "sentAt": _timestamp(message.sent_at),
        "doneAt": _timestamp(done_at),
        "messageCount": 1,
        "price": {"pricePerMessage": PRICES[message.channel], "currency": "EUR"},
        "status": DELIVERED if message.arrived else UNDELIVERABLE,
        "error": NO_ERROR[message.channel] if message.arrived else ABSENT,
    }
    return {"results": [result]}


def _timestamp(moment: float) -> str:
    """In the format yyyy-MM-dd'T'HH:mm:ss.SSSZ."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")
