"""Who may use the API: `Authorization: App`, `Bearer` or `IBSSO` with a key, or `Basic` with it as the password.

The scheme may be written in any case (RFC 9110, section 11.1).
"""

import base64
import binascii
import secrets

from sandbox.api_error import ApiError

API_KEY = "sandbox-api-key"
SEND_ONLY_KEY = "sandbox-send-only-key"  # like a key with no other scope than 2fa:pin:send


def authorize(header: str, *, manages: bool) -> None:
    """Let an Authorization header pass. `manages`: for an operation with the scope 2fa:manage alone.

    Raises:
        ApiError: 401 for no key or another one; 403 for a key that may only send and verify.
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
