"""Encrypts text under a secret: AES-256-GCM (NIST SP 800-38D) under a key of HKDF-SHA256 (RFC 5869)."""

import secrets
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12  # bytes


class TextCipher:
    """Encrypts texts under a key derived from a secret of any length, for one purpose.

    The text is as safe as the secret is hard to guess: the derivation does not slow guessing down.
    """

    def __init__(self, secret: bytes, purpose: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), length=32, salt=None, info=purpose).derive(secret))

    def encrypt(self, text: str, place: str) -> str:
        """`text`, encrypted, in base64. It can be decrypted for this `place` only."""
        nonce = secrets.token_bytes(_NONCE)
        return b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())).decode()

    def decrypt(self, encrypted: str, place: str) -> str:
        """The text that was encrypted for this `place`.

        Raises:
            ValueError: it was encrypted with another secret, for another purpose or place, or it was changed.
        """
        try:
            given = b64decode(encrypted, validate=True)
            return self._cipher.decrypt(given[:_NONCE], given[_NONCE:], place.encode()).decode()
        except InvalidTag as e:
            raise ValueError("not encrypted with this secret for this place") from e
