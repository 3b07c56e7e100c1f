"""The channels that deliver PINs, and what differs between them at Infobip.

What a call takes from SMS where it has nothing of its own is in `otp.languages` (templates) and in
`otp.send_limits.prices`.
"""

import re
from dataclasses import dataclass
from typing import Literal

Member = Literal["phoneNumber", "email"]  # of a request's body: it has the recipient

# The names of Infobip's message statuses begin with their group. Of callStatus, the documents name only one.
_ACCEPTED = re.compile("(PENDING|DELIVERED)_[A-Z_]+")
_REFUSED = re.compile("(REJECTED|UNDELIVERABLE)_[A-Z_]+")


@dataclass(frozen=True)
class Channel:
    """A way to deliver a PIN.

    Args:
        name: its name in requests, settings and metrics.
        member: the member of a request's body that has its recipient.
        path: follows /2fa/2/pin and .../resend in the paths of its operations at Infobip.
        templates: the settings that can have the id of its template; the first one that is set counts.
        status: the member of Infobip's response with the status of the message: a string, or an object with a `name`.
        accepted: the statuses of a message that is on its way.
        refused: the statuses of a message that is certainly not sent. All others are unclear.
        is_call: whether it calls the phone.
        has_lookup: whether Infobip can look the number up before it sends, with the parameter `ncNeeded`.
        has_sender: whether its sender may be a name. That of a call must be a number.
        tracked_as: Infobip's name of it in subscriptions to delivery reports; "" where it cannot report the delivery.
    """

    name: str
    member: Member
    path: str
    templates: tuple[str, ...]
    status: str
    accepted: re.Pattern[str] = _ACCEPTED
    refused: re.Pattern[str] = _REFUSED
    is_call: bool = False
    has_lookup: bool = False
    has_sender: bool = False
    tracked_as: str = ""


_SMS_TEMPLATE = "infobip_2fa_msg_id"

SMS = Channel(
    name="sms",
    member="phoneNumber",
    path="",
    templates=(_SMS_TEMPLATE,),
    status="smsStatus",
    accepted=re.compile("MESSAGE_SENT"),
    refused=re.compile("MESSAGE_NOT_SENT"),
    has_lookup=True,
    has_sender=True,
    tracked_as="SMS",
)
VOICE = Channel(
    name="voice",
    member="phoneNumber",
    path="/voice",
    templates=("infobip_2fa_voice_msg_id", _SMS_TEMPLATE),  # SMS and calls have the same kind of template
    status="callStatus",
    is_call=True,
    tracked_as="VOICE_VIDEO",
)
EMAIL = Channel(
    name="email",
    member="email",
    path="/email",
    templates=("infobip_2fa_email_msg_id",),
    status="emailStatus",
)

CHANNELS = {channel.name: channel for channel in (SMS, VOICE, EMAIL)}
DEFAULT_CHANNEL = {channel.member: channel for channel in (SMS, EMAIL)}  # of requests without a channel
