"""The views that send, resend and verify a PIN."""

import math
import re
from typing import Any, TypeVar

from flask import request

from otp import errors, request_record
from otp.challenges import Challenges
from otp.requester import Requester
from otp.send_request import SendRequest
from otp.service import OtpService, Sent
from otp.typed_text import read_pin
from otp.web.proof_api import ProofApi
from otp.web.request_body import read_body
from otp.web.send_requests import ResendOtp, SendOtp, SendRequestParser, VerifyOtp

_R = TypeVar("_R", bound=ResendOtp)


class PinApi:
    """The views of PINs.

    Args:
        pin: what a typed PIN matches as a whole.
        needs_verification_id: whether resend and verify are refused without a `verificationId`.
        proofs: issues a proof for each verified PIN; None for no proofs.
        challenges: judges the `challenge` of a send without an API key; None for no challenges.
    """

    def __init__(
        self,
        service: OtpService,
        parser: SendRequestParser,
        pin: re.Pattern[str],
        needs_verification_id: bool,
        proofs: ProofApi | None,
        challenges: Challenges | None = None,
    ) -> None:
        self._service = service
        self._parser = parser
        self._pin = pin
        self._needs_verification_id = needs_verification_id
        self._proofs = proofs
        self._challenges = challenges

    def send_otp(self) -> dict[str, Any]:
        """Answer POST /send-otp."""
        body, send_request = self._read(SendOtp)
        self._check_challenge(body, send_request)
        return _sent_body(self._service.send(send_request, body.verification_id), send_request)

    def resend_otp(self) -> dict[str, Any]:
        """Answer POST /resend-otp."""
        body, send_request = self._read(ResendOtp)
        self._require(body.verification_id)
        self._check_challenge(body, send_request)
        return _sent_body(self._service.resend(send_request, body.verification_id), send_request)

    def verify_otp(self) -> dict[str, Any]:
        """Answer POST /verify-otp."""
        request_record.current().operation = "verify"
        body = read_body(request, VerifyOtp)
        recipient = self._parser.read_recipient(body)
        pin = read_pin(body.pin, self._pin)
        self._require(body.verification_id)
        purpose = self._parser.read_purpose(body.purpose)
        proven = self._service.verify(recipient, pin, _requester(), body.verification_id, purpose)
        proof = {"proof": self._proofs.new(proven.identity, purpose, proven.nonce)} if self._proofs else {}
        return {"message": "OTP verified successfully.", **proof}

    def _read(self, kind: type[_R]) -> tuple[_R, SendRequest]:
        request_record.current().operation = "send"
        body, language = read_body(request, kind), request.environ.get("HTTP_ACCEPT_LANGUAGE")
        return body, self._parser.read(body, _requester(), language)

    def _check_challenge(self, body: ResendOtp, send_request: SendRequest) -> None:
        # Last before the limits: the vendor judges a token once, and a typo must not use it up.
        if self._challenges and not send_request.requester.client:
            self._challenges.check(body.challenge, send_request.requester.address)

    def _require(self, verification_id: str | None) -> None:
        if self._needs_verification_id and verification_id is None:
            raise errors.InvalidRequest


def _requester() -> Requester:
    known = request_record.current()
    return Requester(known.client_ip, known.client, known.is_client_app)


def _sent_body(sent: Sent, send_request: SendRequest) -> dict[str, Any]:
    verification = {"verificationId": sent.verification_id} if sent.verification_id else {}
    times = {"expiresIn": int(sent.expires_in), "resendIn": math.ceil(sent.resend_in)}
    return {"message": "OTP sent successfully.", **times, "channels": send_request.next_channels, **verification}
