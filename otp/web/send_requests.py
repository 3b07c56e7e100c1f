"""From the body of a request to a `SendRequest` or a `Recipient`."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from otp import errors, request_record
from otp.channels import CHANNELS, DEFAULT_CHANNEL, Channel, Member
from otp.email_addresses import read_email
from otp.infobip.senders import sender_for
from otp.languages import Templates
from otp.phone_numbers import PhoneBook
from otp.recipients import Recipient
from otp.requester import NOBODY, Requester
from otp.send_request import SendRequest
from otp.web.placeholders import read_placeholders
from otp.web.request_body import Body

_NONCE = re.compile("[A-Za-z0-9._~+/=-]{8,128}")


class _RecipientBody(Body):
    """A phone number or an e-mail address."""

    phone_number: str | None = None
    email: str | None = None

    @property
    def member(self) -> Member:
        """The name of the one that is given."""
        if self.phone_number is not None and self.email is not None:
            raise errors.InvalidRecipient
        if self.phone_number is None and self.email is None:
            raise errors.InvalidRequest
        return "email" if self.phone_number is None else "phoneNumber"


class ResendOtp(_RecipientBody):
    """Body of POST /resend-otp."""

    channel: str | None = None
    placeholders: dict[str, str] | None = None
    challenge: str | None = None
    verification_id: str | None = None


class SendOtp(ResendOtp):
    """Body of POST /send-otp."""

    locale: str | None = None
    purpose: str | None = None
    nonce: str | None = None


class VerifyOtp(_RecipientBody):
    """Body of POST /verify-otp. A PIN that is not a string is answered like one of the wrong format."""

    pin: Any
    verification_id: str | None = None
    purpose: str | None = None


class SendRequestParser:
    """Reads phone numbers, e-mail addresses, channels, languages, purposes, nonces and placeholders.

    Args:
        channels: the names of the channels that may be used.
        templates: by purpose, "" for messages without one.
        placeholders: the names that may be filled in.
        senders: the senders of SMS, by region.
    """

    def __init__(
        self,
        phones: PhoneBook,
        channels: Collection[str],
        templates: Mapping[str, Templates],
        placeholders: frozenset[str],
        senders: Mapping[str, str],
    ) -> None:
        self._phones = phones
        self._channels = channels
        self._templates = templates
        self._names = {member: _names(member, channels) for member in DEFAULT_CHANNEL}
        self._placeholders = placeholders
        self._senders = senders

    def read(self, body: ResendOtp, requester: Requester = NOBODY, accept_language: str | None = None) -> SendRequest:
        """The message that `body` asks for. Without a `locale`, `accept_language` chooses the language.

        Raises:
            InvalidLocale, InvalidPurpose, InvalidNonce, InvalidChannel, ChannelNotAvailable, InvalidRecipient,
            InvalidPhoneNumber, PhoneNumberNotAllowed, PhoneNumberNotCallable, InvalidEmail, InvalidPlaceholders,
            InvalidRequest: see `errors`.
        """
        channel = self._channel(body)
        if body.email is not None:
            recipient, is_reachable = read_email(body.email), True
        else:
            recipient, is_reachable = self._phones.read_reachable(body.phone_number or "", by_call=channel.is_call)
        request_record.current().about(recipient, channel.name)
        of_new_pin = self._of_new_pin(body, channel, accept_language) if isinstance(body, SendOtp) else ("", "", "")
        template, purpose, nonce = of_new_pin
        return SendRequest(
            recipient,
            requester,
            channel=channel,
            template=template,
            purpose=purpose,
            nonce=nonce,
            placeholders=read_placeholders(body.placeholders or {}, self._placeholders),
            sender=sender_for(self._senders, recipient.region) if channel.has_sender else "",
            reachable_over=self._names[channel.member] if is_reachable else (channel.name,),
        )

    def _of_new_pin(self, body: SendOtp, channel: Channel, accept_language: str | None) -> tuple[str, str, str]:
        """The template, the purpose and the nonce of a new PIN. A PIN that is sent again keeps its own."""
        purpose = self.read_purpose(body.purpose)
        template = self._templates[purpose].of(channel.name, body.locale, accept_language)
        if template is None:
            raise errors.ChannelNotAvailable
        return template, purpose, _read_nonce(body.nonce)

    def read_purpose(self, given: str | None) -> str:
        """The purpose, "" where none is given. Raises InvalidPurpose for one that the settings do not have."""
        if given is None:
            return ""
        if not given or given not in self._templates:
            raise errors.InvalidPurpose
        return given

    def read_recipient(self, body: VerifyOtp) -> Recipient:
        """The recipient that `body` names."""
        is_email = body.member == "email"
        recipient = read_email(body.email or "") if is_email else self._phones.read(body.phone_number or "")
        request_record.current().about(recipient)
        return recipient

    def _channel(self, body: ResendOtp) -> Channel:
        member = body.member
        channel = DEFAULT_CHANNEL[member] if body.channel is None else CHANNELS.get(body.channel)
        if channel is None:
            raise errors.InvalidChannel
        if channel.member != member:
            raise errors.InvalidRecipient
        if channel.name not in self._channels:
            raise errors.ChannelNotAvailable
        return channel


def _read_nonce(given: str | None) -> str:
    if given is not None and not _NONCE.fullmatch(given):
        raise errors.InvalidNonce
    return given or ""


def _names(member: Member, channels: Collection[str]) -> tuple[str, ...]:
    return tuple(each.name for each in CHANNELS.values() if each.member == member and each.name in channels)
