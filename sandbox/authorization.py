"""Checks the API key: `Authorization: App`, `Bearer` or `IBSSO` with the key, or `Basic` with it as the password.

The scheme may be written in any case (RFC 9110, section 11.1).
"""

import base64
import binascii
import secrets

from sandbox.api_error import ApiError

API_KEY = "sandbox-api-key"
SEND_ONLY_KEY = "sandbox-send-only-key"  # like a key with the scope 2fa:pin:send only
MANAGE_KEY = "sandbox-manage-key"  # like a key with the scope 2fa:manage, without subscriptions:manage
_LACKS = {
    API_KEY: frozenset[str](),
    SEND_ONLY_KEY: frozenset({"2fa:manage", "subscriptions:manage"}),
    MANAGE_KEY: frozenset({"subscriptions:manage"}),
}


def authorize(header: str, scope: str) -> None:
    """Check an Authorization header. `scope`: what the operation needs; "" is what each key has.

    Raises:
        ApiError: 401 without a valid key; 403 for a key without the scope.
    """
    key = _key(header).encode()
    lacks = next((lacks for known, lacks in _LACKS.items() if secrets.compare_digest(key, known.encode())), None)
    if lacks is None:
        raise ApiError(401, "UNAUTHORIZED", "Invalid login details")
    if scope in lacks:
        raise ApiError(403, "FORBIDDEN", "Forbidden")


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
