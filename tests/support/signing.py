"""Keys and proofs that the tests make themselves."""

import json
import os
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_decode, base64url_encode

from otp.proofs import Proofs, new_signing_key, read_signing_key

Json = dict[str, Any]
INVALID = (401, "proof_invalid")


def public_pem(private: str) -> str:
    key = read_signing_key(private).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY, OLD, OLDER, FOREIGN = (new_signing_key() for _ in range(4))
SETTINGS = {"PROOF_SIGNING_KEY": KEY, "LOG_LEVEL": "DEBUG"}
SETTINGS["PROOF_OLD_KEYS"] = public_pem(OLD) + OLDER  # a public key, and a private key


def key_id(private: str) -> str:
    return str(Proofs(private, "", "").key_set()["keys"][0]["kid"])


def sign(key: Any = KEY, algorithm: str = "EdDSA", kid: str | None = None, **claims: Any) -> str:
    """Return a valid proof, except for the given parts."""
    now = int(time.time())
    usual: Json = {"iss": "infobip-otp", "aud": "backend", "sub": "+14155552671", "jti": os.urandom(8).hex()}
    usual |= {"iat": now, "exp": now + 300, "amr": ["sms"]}
    given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(given, key, algorithm, {"kid": kid or key_id(KEY)})


def tamper(proof: str) -> str:
    head, body, signature = proof.split(".")
    claims = {**json.loads(base64url_decode(body)), "sub": "+442071838750"}
    return f"{head}.{base64url_encode(json.dumps(claims).encode()).decode()}.{signature}"


def change_signature(proof: str) -> str:
    head, body, signature = proof.split(".")
    return f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def nest(depth: int) -> str:
    return f"{base64url_encode(b'[' * depth).decode()}.e30.AA"


def deep_head(proof: str, depth: int) -> str:
    head = f'{{"alg":"EdDSA","kid":"{key_id(KEY)}","x":{"[" * depth}{"]" * depth}}}'
    return f"{base64url_encode(head.encode()).decode()}.{proof.partition('.')[2]}"


PAST: Json = {"iat": int(time.time()) - 600, "exp": int(time.time()) - 1}


def refused_proofs() -> dict[str, tuple[Any, int, str]]:
    """Return proofs that are refused, with status and code. They are new each time: proofs expire in five minutes."""
    return {
        "tampered": (tamper(sign()), *INVALID),
        "another signature": (change_signature(sign()), *INVALID),
        "alg none": (sign(None, "none"), *INVALID),
        "alg none with our signature": (sign(None, "none") + sign().rpartition(".")[2], *INVALID),
        "the public key as a shared secret": (sign(public_pem(KEY).encode().hex(), "HS256"), *INVALID),
        "an unknown key": (sign(FOREIGN, kid=key_id(FOREIGN)), *INVALID),
        "an unknown key under the name of ours": (sign(FOREIGN), *INVALID),
        "an old key under the name of ours": (sign(OLD), *INVALID),
        "no name of a key": (jwt.encode({"sub": "+14155552671"}, KEY, "EdDSA"), *INVALID),
        "another issuer": (sign(iss="somebody"), *INVALID),
        "no expiry": (sign(exp=None), *INVALID),
        "no id": (sign(jti=None), *INVALID),
        "no audience": (sign(aud=None), *INVALID),
        "expired": (sign(**PAST), 401, "proof_expired"),
        "expired, and tampered": (tamper(sign(**PAST)), *INVALID),
        "for another": (sign(aud="somebody"), 401, "proof_wrong_audience"),
        "for another, and by another": (sign(FOREIGN, aud="somebody"), *INVALID),
        "nothing": ("", *INVALID),
        "words": ("no proof", *INVALID),
        "dots": ("..", *INVALID),
        "not ASCII": ("é.é.é", *INVALID),
        "bytes that are no text": ("_w.e30.AA", *INVALID),
        "deep": (nest(11_000), *INVALID),
        "deep in the head of ours": (deep_head(sign(), 5000), *INVALID),
        "a number": (1, 400, "invalid_request"),
        "a list": ([], 400, "invalid_request"),
        "null": (None, 400, "invalid_request"),
    }
