"""Infobip's responses about a PIN, in the formats of the published contract."""

from typing import Any

from sandbox.model import Channel
from sandbox.pins import Pin, SendResult, VerifyResult
from sandbox.quirks import Quirks

Json = dict[str, Any]


def send_response(result: SendResult, *, track: bool) -> Json:
    """StartAuthenticationResponse and StartEmailAuthenticationResponse."""
    response: Json = {"pinId": result.pin.pin_id, "to": result.pin.to}
    if result.message.channel is Channel.EMAIL:
        status = {"name": "PENDING_ACCEPTED", "description": "Message accepted, pending for delivery."}
        return response | {"emailStatus": status}
    if result.message.channel is Channel.VOICE:
        response["callStatus"] = "PENDING_ACCEPTED" if result.accepted else "UNDELIVERABLE_NOT_DELIVERED"
    else:
        if result.looked_up:
            response["ncStatus"] = f"NC_DESTINATION_{'' if result.accepted else 'NOT_'}REACHABLE"
        response["smsStatus"] = f"MESSAGE_{'' if result.accepted else 'NOT_'}SENT"
    return response | ({"externalMessageId": result.message.message_id} if track and result.accepted else {})


def verify_response(result: VerifyResult) -> Json:
    """VerifyPinResponse."""
    return {
        "pinId": result.pin.pin_id,
        "msisdn": result.pin.to,
        "verified": result.verified,
        "attemptsRemaining": result.attempts_remaining,
        **({"pinError": result.pin_error} if result.pin_error else {}),
    }


def verification(pin: Pin, quirks: Quirks) -> Json:
    """Verification."""
    unit = 1 if quirks.timestamps == "seconds" else 1000
    times = {"verifiedAt": pin.verified_at, "sentAt": pin.sent_at if pin.reached else None}
    if quirks.missing_times == "absent":
        times = {name: time for name, time in times.items() if time is not None}
    values = {name: int((time or 0) * unit) for name, time in times.items()}
    return {"msisdn": pin.to, "verified": pin.verified_at is not None, **values}
