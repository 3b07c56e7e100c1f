"""What Infobip answers about a PIN, in the shapes of the published contract."""

from typing import Any

from sandbox.model import Channel
from sandbox.pins import Pin, Sent, Verdict
from sandbox.quirks import Choices

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


def verification(pin: Pin, choices: Choices) -> Json:
    """Verification."""
    unit = 1 if choices.timestamps == "seconds" else 1000
    times = {"verifiedAt": pin.verified_at, "sentAt": pin.sent_at if pin.reached else None}
    if choices.missing_times == "absent":
        times = {name: time for name, time in times.items() if time is not None}
    shown = {name: int((time or 0) * unit) for name, time in times.items()}
    return {"msisdn": pin.to, "verified": pin.verified_at is not None, **shown}
