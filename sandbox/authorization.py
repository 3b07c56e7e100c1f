"""Checks the API key: `Authorization: App`, `Bearer` or `IBSSO` with the key, or `Basic` with it as the password.

The scheme may be written in any case (RFC 9110, section 11.1).
"""

import base64
import binascii
import secrets

from sandbox.api_error import ApiError

API_KEY = "sandbox-api-key"
SEND_ONLY_KEY = "sandbox-send-only-key"  # like a key with the scope 2fa:pin:send only


def authorize(header: str, *, manages: bool) -> None:
    """Check an Authorization header. `manages`: the operation needs the scope 2fa:manage.

    Raises:
        ApiError: 401 without a valid key; 403 for a key that may only send and verify.
    """
    key = _key(header).encode()
    if manages and secrets.compare_digest(key, SEND_ONLY_KEY.encode()):
        raise ApiError(403, "FORBIDDEN", "Forbidden")
    if not any(secrets.compare_digest(key, known.encode()) for known in (API_KEY, SEND_ONLY_KEY)):
        raise ApiError(401, "UNAUTHORIZED", "Invalid login details")


def _key(header: str) -> str:
    scheme, _, written = header.partition(" ")
    scheme, given = scheme.lower(), written.strip(" ")
    if scheme in ("app", "bearer", "ibsso"):
        return given
    if scheme != "basic":
        return ""
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
