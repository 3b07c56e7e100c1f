"""What Infobip answers about a PIN, in the shapes of the published contract."""

from typing import Any

from sandbox.model import Channel
from sandbox.pins import Pin, Sent, Verdict

Json = dict[str, Any]


def sent(sent: Sent, *, track: bool) -> Json:
    """StartAuthenticationResponse and StartEmailAuthenticationResponse."""
    answer: Json = {"pinId": sent.pin.pin_id, "to": sent.pin.to}
    if sent.message.channel is Channel.EMAIL:
        status = {"name": "PENDING_ACCEPTED", "description": "Message accepted, pending for delivery."}
        return answer | {"emailStatus": status}
    if sent.message.channel is Channel.VOICE:
        answer["callStatus"] = "PENDING_ACCEPTED" if sent.accepted else "UNDELIVERABLE_NOT_DELIVERED"
    else:
        if sent.looked_up:
            answer["ncStatus"] = f"NC_DESTINATION_{'' if sent.accepted else 'NOT_'}REACHABLE"
        answer["smsStatus"] = f"MESSAGE_{'' if sent.accepted else 'NOT_'}SENT"
    return answer | ({"externalMessageId": sent.message.message_id} if track and sent.accepted else {})


def judged(verdict: Verdict) -> Json:
    """VerifyPinResponse."""
    answer: Json = {"pinId": verdict.pin.pin_id, "msisdn": verdict.pin.to, "verified": verdict.verified}
    answer["attemptsRemaining"] = verdict.attempts_remaining
    return answer | ({"pinError": verdict.pin_error} if verdict.pin_error else {})


def verification(pin: Pin, unit: int) -> Json:
    """Verification. `unit`: 1 for times in seconds, 1000 for milliseconds."""
    shown: Json = {"msisdn": pin.to, "verified": pin.verified_at is not None}
    if pin.verified_at is not None:
        shown["verifiedAt"] = int(pin.verified_at * unit)
    return shown | ({"sentAt": int(pin.sent_at * unit)} if pin.reached else {})
