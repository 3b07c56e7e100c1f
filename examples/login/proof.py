"""Checks a proof of the service: who signed it, for whom, for which request. It needs no framework: copy it."""

import os
from typing import Any

import jwt
import requests

SERVICE = os.environ.get("OTP_URL", "http://localhost:3000")
PURPOSE = os.environ.get("OTP_PURPOSE")  # of the send; None where the service has no purposes
KEYS = jwt.PyJWKClient(f"{SERVICE}/.well-known/jwks.json", timeout=5)
RULES: Any = {"algorithms": ["EdDSA"], "issuer": "infobip-otp", "audience": "backend", "options": {"verify_iat": False}}


def verified_phone(proof: str, nonce: str) -> str | None:
    """The phone number that was verified for the send with `nonce`, once for each proof; None for any other proof."""
    expected = {"nonce": nonce, "purpose": PURPOSE, "amr": ["sms"], "test": None}  # a test number is nobody's
    try:
        claims = jwt.decode(proof, KEYS.get_signing_key_from_jwt(proof), **RULES)
        if {name: claims.get(name) for name in expected} != expected:
            return None
        redeemed = requests.post(f"{SERVICE}/proofs/redeem", json={"proof": proof}, timeout=5)
    except (jwt.PyJWTError, RecursionError, requests.RequestException):  # also where the service cannot be asked
        return None
    return str(claims["sub"]) if redeemed.status_code == 200 else None
