"""From the body of a request to a `SendRequest` or a `Recipient`."""

from collections.abc import Mapping
from typing import Any

from otp import errors
from otp.channels import CHANNELS, DEFAULT_CHANNEL, SMS, Channel, Member
from otp.email_addresses import read_email
from otp.infobip.senders import sender_for
from otp.languages import Templates
from otp.phone_numbers import PhoneBook
from otp.recipients import Recipient
from otp.requester import NOBODY, Requester
from otp.send_request import SendRequest
from otp.telemetry import record
from otp.web.placeholders import read_placeholders
from otp.web.request_body import Body


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
    verification_id: str | None = None


class SendOtp(ResendOtp):
    """Body of POST /send-otp."""

    locale: str | None = None


class VerifyOtp(_RecipientBody):
    """Body of POST /verify-otp. A PIN that is not a string is answered like one of the wrong format."""

    pin: Any
    verification_id: str | None = None


class SendRequestParser:
    """Reads phone numbers, e-mail addresses, channels, languages and placeholders.

    Args:
        templates: the id of the default template, by the names of the channels that may be used.
        of_languages: those of other languages.
        placeholders: the names that may be filled in.
        senders: the senders of SMS, by region.
    """

    def __init__(
        self,
        phones: PhoneBook,
        templates: Mapping[str, str],
        of_languages: Templates,
        placeholders: frozenset[str],
        senders: Mapping[str, str],
    ) -> None:
        self._phones = phones
        self._templates = templates
        self._of_languages = of_languages
        self._placeholders = placeholders
        self._senders = senders

    def read(self, body: ResendOtp, requester: Requester = NOBODY, accept_language: str | None = None) -> SendRequest:
        """The message that `body` asks for. Without a `locale`, `accept_language` chooses the language.

        Raises:
            InvalidLocale, InvalidChannel, ChannelNotAvailable, InvalidRecipient, InvalidPhoneNumber,
            PhoneNumberNotAllowed, PhoneNumberNotCallable, InvalidEmail, InvalidPlaceholders, InvalidRequest: see
            `errors`.
        """
        channel = self._channel(body)
        if body.email is not None:
            to = read_email(body.email)
        else:
            to = self._phones.read_sendable(body.phone_number or "", by_call=channel.is_call)
        record.current().about(to, channel.name)
        return SendRequest(
            to,
            requester,
            channel=channel,
            template=self._template(body, channel, accept_language),
            placeholders=read_placeholders(body.placeholders or {}, self._placeholders),
            sender=sender_for(self._senders, to.region) if channel is SMS else "",  # that of a call must be a number
        )

    def _template(self, body: ResendOtp, channel: Channel, accept_language: str | None) -> str:
        """The template of a new PIN. A PIN that is sent again keeps its own."""
        locale = body.locale if isinstance(body, SendOtp) else None
        of_language = self._of_languages.of(channel.name, locale, accept_language)
        return of_language or self._templates[channel.name]

    def read_recipient(self, body: VerifyOtp) -> Recipient:
        """The recipient that `body` names."""
        to = read_email(body.email or "") if body.member == "email" else self._phones.read(body.phone_number or "")
        record.current().about(to)
        return to

    def _channel(self, body: ResendOtp) -> Channel:
        member = body.member
        channel = DEFAULT_CHANNEL[member] if body.channel is None else CHANNELS.get(body.channel)
        if channel is None:
            raise errors.InvalidChannel
        if channel.member != member:
            raise errors.InvalidRecipient
        if channel.name not in self._templates:
            raise errors.ChannelNotAvailable
        return channel
