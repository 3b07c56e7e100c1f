"""Sends and verifies PINs at Infobip, by its 2FA API (v2).

Its errors say what the caller must know: ProviderRefused and PhoneNumberUnreachable (nothing was sent, a repetition
will not help), ServiceUnavailable and TooManyRequests (nothing was sent, a repetition may help), ProviderTimeout and
ProviderUnclear (a message may have been sent, or a PIN checked).
"""

import logging
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import ConfigDict

from otp import errors
from otp.alerts.alerts import Alerts
from otp.channels import Channel
from otp.http_client.bulkhead import Bulkhead
from otp.http_client.strict_response import StrictResponse
from otp.infobip.delivery_reports import DELIVERY_ID
from otp.infobip.responses import NOT_FOUND, error_code, error_for, parse_response
from otp.infobip.transport import Response, Transport
from otp.ports import SentPin
from otp.send_request import SendRequest
from otp.setting_types import IDENTIFIER
from otp.telemetry.calls import timed_infobip_call

log = logging.getLogger("otp.infobip")

PIN_ID = re.compile(IDENTIFIER)
UNKNOWN_PIN = {*NOT_FOUND, "BAD_REQUEST", "E400"}
UNREACHABLE = {"NC_DESTINATION_NOT_REACHABLE", "NC_NOT_REACHABLE"}  # of ncStatus; Infobip's documents have both
GONE = {"NO_MORE_PIN_ATTEMPTS", "TTL_EXPIRED"}  # of VerifyPinResponse.pinError


class SendResponse(StrictResponse):
    """StartAuthenticationResponse, and its form for e-mail. A 200 can be a refusal, by the member `Channel.status`."""

    model_config = ConfigDict(extra="allow")

    pin_id: str

    def status(self, channel: Channel) -> str:
        """Infobip's word for the state of the message; "" if the response has none."""
        status = (self.model_extra or {}).get(channel.status)
        word = status.get("name") if isinstance(status, dict) else status
        return word if isinstance(word, str) else ""

    @property
    def is_unreachable(self) -> bool:
        """Whether the number was looked up and cannot be reached."""
        status = (self.model_extra or {}).get("ncStatus")
        return isinstance(status, str) and status in UNREACHABLE

    @property
    def message_id(self) -> str | None:
        """The id in the report of the message's delivery; None if the response has none that is safe in a key."""
        given = (self.model_extra or {}).get("externalMessageId")
        return given if isinstance(given, str) and DELIVERY_ID.fullmatch(given) else None


class VerifyResponse(StrictResponse):
    """VerifyPinResponse. A wrong, expired or used-up PIN is a 200 with `verified` false."""

    verified: bool
    pin_id: str | None = None
    pin_error: str | None = None


class SendOptions(NamedTuple):
    """What Infobip is asked to do in addition, on channels that allow it: report the delivery of messages, and look a
    number up before it sends a new PIN, which it bills.
    """

    track_delivery: bool = False
    looks_up: bool = False


class InfobipClient:
    """Sends and verifies PINs with one application.

    Args:
        throttle_pause: seconds to wait where Infobip throttles and does not say for how long.
        concurrency: sends in flight at once, and as many verifies; more are refused.
        alerts: counts every check of a PIN, and reports every refusal of the API key.
        pin_spelling: turns a typed PIN into the spelling that Infobip compares. Whether Infobip distinguishes capitals
            from small letters is not documented.
    """

    def __init__(
        self,
        transport: Transport,
        application_id: str,
        *,
        throttle_pause: float,
        concurrency: int,
        alerts: Alerts,
        options: SendOptions,
        pin_spelling: Callable[[str], str],
    ) -> None:
        self._transport = transport
        self._alerts = alerts
        self._application_id = application_id
        self._throttle_pause = throttle_pause
        self._track_delivery = options.track_delivery
        self._lookup = f"?ncNeeded={str(options.looks_up).lower()}"  # always, for Infobip's default is true
        self._spell = pin_spelling
        self._sends, self._verifies = Bulkhead(concurrency), Bulkhead(concurrency)

    @timed_infobip_call("send")
    def send_pin(self, send_request: SendRequest) -> SentPin:
        """Send a message with a new PIN. The request is never repeated.

        Source: operations send-2fa-pin-code-over-sms, -voice and -email.
        """
        template = {"applicationId": self._application_id, "messageId": send_request.template}
        sender = {"from": send_request.sender} if send_request.sender else {}
        lookup = self._lookup if send_request.channel.has_lookup else ""
        body = {**template, **sender, "to": send_request.recipient.address}
        return self._send("/2fa/2/pin", send_request, body, lookup)

    @timed_infobip_call("resend")
    def resend_pin(self, pin_id: str, send_request: SendRequest) -> SentPin:
        """Send the same PIN once more, perhaps over another channel. The request is never repeated.

        Source: operations resend-2fa-pin-code-over-sms, -voice and -email.

        Raises:
            PinGone: Infobip does not know the PIN, or it has expired there.
        """
        _check(pin_id)
        try:
            return self._send(f"/2fa/2/pin/{pin_id}/resend", send_request, {})
        except errors.ProviderRefused as e:
            raise errors.PinGone(reason=errors.Reason.GONE_PIN) if e.detail in NOT_FOUND else e from e

    def _send(self, path: str, send_request: SendRequest, payload: dict[str, Any], query: str = "") -> SentPin:
        channel = send_request.channel
        filled = {"placeholders": dict(send_request.placeholders)} if send_request.placeholders else {}
        tracked = {"trackDelivery": True} if self._track_delivery and channel.tracked_as else {}
        with self._sends:
            response = self._transport.post(path + channel.path + query, {**payload, **filled, **tracked})
        if response.status != 200:
            raise self._error(response)
        sent = parse_response(SendResponse, response)
        _check_sent(sent, channel)
        if tracked and sent.message_id is None:
            log.warning("no_delivery_id", extra={"channel": channel.name})
        return SentPin(sent.pin_id, sent.message_id if tracked else None)

    @timed_infobip_call("verify")
    def verify_pin(self, pin_id: str, pin: str) -> bool:
        """Whether `pin` is right. The request is repeated once where that can do no harm.

        Source: operation verify-2fa-phone-number. An unknown PIN is a 404 by the contract, and was a 400 in real
        traffic.

        Raises:
            PinGone: Infobip does not know the PIN, or it has expired there, or has no guess left.
        """
        _check(pin_id)
        with self._verifies:
            response = self._transport.post(f"/2fa/2/pin/{pin_id}/verify", {"pin": self._spell(pin)}, attempts=2)
        if response.status in (400, 404) and error_code(response) in UNKNOWN_PIN:
            raise self._gone(response)
        if response.status != 200:
            raise self._error(response)
        result = parse_response(VerifyResponse, response)
        if result.pin_id not in (None, pin_id):
            raise errors.ProviderUnclear
        right = result.verified and result.pin_error in (None, "NO_ERROR")
        if not right and result.pin_error in GONE:
            raise self._gone(response)
        self._alerts.pin_checked(right)
        return right

    def _gone(self, response: Response) -> errors.OtpError:
        """The error for a PIN that Infobip does not know any more: the first attempt, a 5xx, may have verified it."""
        if response.after_server_error:
            return errors.ProviderTimeout()
        self._alerts.pin_checked(False)
        return errors.PinGone(reason=errors.Reason.GONE_PIN)

    def _error(self, response: Response) -> errors.OtpError:
        if response.status in (401, 403):
            self._alerts.credentials_refused(response.status)
        error = error_for(response, self._throttle_pause)
        # The refusal is that of the second attempt: the first one, a 5xx, may have been carried out.
        return errors.ProviderTimeout() if response.after_server_error else error


def _check(pin_id: str) -> None:
    if not PIN_ID.fullmatch(pin_id):
        raise errors.ProviderRefused


def _check_sent(sent: SendResponse, channel: Channel) -> None:
    status = sent.status(channel)
    if channel.refused.fullmatch(status) and sent.is_unreachable:
        raise errors.PhoneNumberUnreachable(detail=status)
    if channel.refused.fullmatch(status):
        log.warning("provider_refused", extra={"status": 200, "sms_status": status})
        raise errors.ProviderRefused(detail=status)
    if not channel.accepted.fullmatch(status) or not PIN_ID.fullmatch(sent.pin_id):
        raise errors.ProviderUnclear
