"""Proofs that a recipient was verified: JWTs (RFC 7519) signed with Ed25519 (RFC 8037).

Anyone with the public keys can check a proof offline; only the service knows whether it was redeemed before.
"""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm
from jwt.utils import base64url_encode

from otp.errors import InvalidProof, ProofExpired, ProofForAnother
from otp.recipients import Recipient

# Claims about the PIN: `test` (anybody may know it), and the purpose and nonce of its send.
ABOUT = ("test", "purpose", "nonce")
LIFETIME = 5 * 60  # seconds
ALGORITHM = "EdDSA"

_PEM = re.compile("-----BEGIN (?:PRIVATE|PUBLIC) KEY-----[A-Za-z0-9+/=\\s]*-----END (?:PRIVATE|PUBLIC) KEY-----")


class Proofs:
    """Signs and checks proofs.

    Args:
        signing_key: see `read_signing_key`.
        old_keys: the keys that signed before, whose proofs may still be valid; see `read_old_keys`.
        issuer: the name of the service.
    """

    def __init__(self, signing_key: str, old_keys: str, issuer: str) -> None:
        self._key = read_signing_key(signing_key)
        self._public = {_key_id(key): key for key in (self._key.public_key(), *read_old_keys(old_keys))}
        self._key_id = _key_id(self._key.public_key())
        self._issuer = issuer

    def sign(self, identity: str, audience: str, about: Mapping[str, Any]) -> str:
        """A proof for `audience` that a PIN for `identity` was verified just now; `amr` has the values of RFC 8176.

        `about` are claims of ABOUT.
        """
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": identity,
            "amr": ["otp" if Recipient.at(identity).kind == "email" else "sms"],
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + LIFETIME,
            **about,
        }
        return jwt.encode(claims, self._key, ALGORITHM, {"kid": self._key_id})

    def check(self, proof: str, audience: str) -> dict[str, Any]:
        """The claims of `proof`, if this service signed it for `audience` and it has not expired.

        Raises:
            InvalidProof: the service did not sign it, or it is not a proof.
            ProofExpired, ProofForAnother: the service did sign it.
        """
        try:
            key = self._public[str(jwt.get_unverified_header(proof).get("kid"))]
            return self._claims(proof, key, audience)
        except jwt.ExpiredSignatureError as e:
            raise ProofExpired from e
        except jwt.InvalidAudienceError as e:
            raise ProofForAnother from e
        except (jwt.PyJWTError, KeyError, ValueError, RecursionError) as e:
            raise InvalidProof from e

    def _claims(self, proof: str, key: Ed25519PublicKey, audience: str) -> dict[str, Any]:
        return jwt.decode(
            proof,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=self._issuer,
            # A replica whose clock is behind would refuse a proof that another one has just signed.
            options={"require": ["iss", "aud", "sub", "jti", "iat", "exp"], "verify_iat": False},
        )

    def key_set(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517); the first one is that of the current signing key."""
        return {
            "keys": [{**_jwk(key), "kid": kid, "use": "sig", "alg": ALGORITHM} for kid, key in self._public.items()]
        }


def new_signing_key() -> str:
    """A new private key, in PEM (PKCS #8)."""
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return Ed25519PrivateKey.generate().private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()


def read_signing_key(pem: str) -> Ed25519PrivateKey:
    """The Ed25519 private key in `pem`, whose line breaks may be written as \\n.

    Raises:
        ValueError: `pem` has another form. The message does not quote it.
    """
    try:
        key = serialization.load_pem_private_key(_with_line_breaks(pem).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise ValueError("must be a private key in PEM, as flask proof new-key makes one") from e
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("must be an Ed25519 key, as flask proof new-key makes one")
    return key


def read_old_keys(pems: str) -> list[Ed25519PublicKey]:
    """The public keys in `pems`, which has any number of public or private keys.

    Raises:
        ValueError: `pems` has anything else. The message does not quote it.
    """
    text = _with_line_breaks(pems)
    if _PEM.sub("", text).strip():
        raise ValueError("must be public or private keys in PEM, one after the other")
    return [_public_key(pem) for pem in _PEM.findall(text)]


def _public_key(pem: str) -> Ed25519PublicKey:
    if "PRIVATE" in pem:
        return read_signing_key(pem).public_key()
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as e:
        raise ValueError("has a public key that cannot be read") from e
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("must be Ed25519 keys")
    return key


def _with_line_breaks(pem: str) -> str:
    return pem.replace("\\n", "\n")


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    return {name: str(value) for name, value in sorted(OKPAlgorithm.to_jwk(key, as_dict=True).items())}


def _key_id(key: Ed25519PublicKey) -> str:
    """The thumbprint of the key (RFC 7638): the hash of its sorted members without spaces."""
    digest = hashlib.sha256(json.dumps(_jwk(key), separators=(",", ":")).encode()).digest()
    return base64url_encode(digest).decode()
