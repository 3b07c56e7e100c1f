"""python flow.py <service> <key> <inbox> <number> <e-mail address>

Verifies a phone number and an e-mail address and redeems the proofs, with a client generated from the contract.
It is type-checked together with that client; `assert_type` checks what the generator read from the contract.
"""

import sys
from typing import assert_type

import httpx
from otp_client import AuthenticatedClient
from otp_client.api.pi_ns import resend_otp, send_otp, verification, verify_otp
from otp_client.api.proofs import redeem_proof
from otp_client.models.channel import Channel
from otp_client.models.email_proof_redeemed import EmailProofRedeemed
from otp_client.models.otp_resent import OtpResent
from otp_client.models.otp_sent import OtpSent
from otp_client.models.otp_verified import OtpVerified
from otp_client.models.phone_proof_redeemed import PhoneProofRedeemed
from otp_client.models.redeem_proof import RedeemProof
from otp_client.models.refusal import Refusal
from otp_client.models.refusal_code import RefusalCode
from otp_client.models.resend_otp_to_phone import ResendOtpToPhone
from otp_client.models.send_otp_to_email import SendOtpToEmail
from otp_client.models.send_otp_to_phone import SendOtpToPhone
from otp_client.models.verification import Verification
from otp_client.models.verify_otp_of_email import VerifyOtpOfEmail
from otp_client.models.verify_otp_of_phone import VerifyOtpOfPhone
from otp_client.types import Unset

service, key, inbox, phone, email = sys.argv[1:]
client = AuthenticatedClient(base_url=service, token=key)


def pin_of(to: str) -> str:
    """Return the PIN that arrived last for `to`."""
    return str(httpx.get(inbox, params={"to": to}).json()["messages"][0]["pin"])


def redeemed(verified: OtpVerified | Refusal | None) -> PhoneProofRedeemed | EmailProofRedeemed:
    """Redeem the proof of a response, and return what it proves."""
    assert isinstance(verified, OtpVerified)
    assert not isinstance(verified.proof, Unset)
    about = redeem_proof.sync(client=client, body=RedeemProof(proof=verified.proof))
    assert_type(about, EmailProofRedeemed | PhoneProofRedeemed | Refusal | None)
    assert isinstance(about, PhoneProofRedeemed | EmailProofRedeemed)
    return about


sent = send_otp.sync(client=client, body=SendOtpToPhone(phone_number=phone, channel=Channel.VOICE, locale="pt-BR"))
assert_type(sent, OtpSent | Refusal | None)
assert isinstance(sent, OtpSent)
assert_type(sent.expires_in, int)
assert_type(sent.verification_id, str)

again = resend_otp.sync(client=client, body=ResendOtpToPhone(phone_number=phone))
assert_type(again, OtpResent | Refusal | None)
assert isinstance(again, Refusal)
assert_type(again.code, RefusalCode)
assert again.code is RefusalCode.TOO_MANY_REQUESTS

guess = VerifyOtpOfPhone(phone_number=phone, pin=pin_of(phone), verification_id=sent.verification_id)
about = redeemed(verify_otp.sync(client=client, body=guess))
assert isinstance(about, PhoneProofRedeemed)
assert_type(about.phone_number, str)
assert about.phone_number == phone
became = verification.sync(sent.verification_id, client=client)
assert isinstance(became, Verification)
assert became.status.value == "verified"

assert isinstance(send_otp.sync(client=client, body=SendOtpToEmail(email=email)), OtpSent)
about = redeemed(verify_otp.sync(client=client, body=VerifyOtpOfEmail(email=email, pin=pin_of(email))))
assert isinstance(about, EmailProofRedeemed)
assert about.email == email
