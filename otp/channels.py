"""The ways in which a PIN reaches a person. All that differs between them is one row here."""

import re
from dataclasses import dataclass
from typing import Literal

Member = Literal["phoneNumber", "email"]  # of a request's body: it has the recipient

# Names of Infobip's general message statuses begin with their group. Of callStatus, its documents name one.
_GOES = re.compile("(PENDING|DELIVERED)_[A-Z_]+")
_REFUSED = re.compile("(REJECTED|UNDELIVERABLE)_[A-Z_]+")


@dataclass(frozen=True)
class Channel:
    """One of them.

    Args:
        name: on the wire, in settings and in metrics.
        member: of a request's body, which says whom it reaches.
        path: of its operations at Infobip, behind /2fa/2/pin and .../resend.
        templates: the settings that may have the id of its template, the first that is there.
        status: the member of Infobip's answer that says what became of the message: a word, or an object with its name.
        goes: the words for a message that is on its way.
        refused: those for one that is certainly not. What no word says is unclear.
        is_call: whether the phone must be one that can be called.
        is_tracked: whether Infobip can report its delivery.
    """

    name: str
    member: Member
    path: str
    templates: tuple[str, ...]
    status: str
    goes: re.Pattern[str] = _GOES
    refused: re.Pattern[str] = _REFUSED
    is_call: bool = False
    is_tracked: bool = True


_SMS_TEMPLATE = "infobip_2fa_msg_id"

SMS = Channel(
    name="sms",
    member="phoneNumber",
    path="",
    templates=(_SMS_TEMPLATE,),
    status="smsStatus",
    goes=re.compile("MESSAGE_SENT"),
    refused=re.compile("MESSAGE_NOT_SENT"),
)
VOICE = Channel(
    name="voice",
    member="phoneNumber",
    path="/voice",
    templates=("infobip_2fa_voice_msg_id", _SMS_TEMPLATE),  # one kind of template serves both
    status="callStatus",
    is_call=True,
)
EMAIL = Channel(
    name="email",
    member="email",
    path="/email",
    templates=("infobip_2fa_email_msg_id",),
    status="emailStatus",
    is_tracked=False,
)

CHANNELS = {channel.name: channel for channel in (SMS, VOICE, EMAIL)}
DEFAULT_CHANNEL = {channel.member: channel for channel in (SMS, EMAIL)}  # where a request names none
