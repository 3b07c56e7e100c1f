"""A signed POST to the operator's receiver, by the specification of https://www.standardwebhooks.com."""

import base64
import hmac
import secrets
import time
from contextlib import suppress
from urllib.parse import urlsplit

import requests
from gevent import Timeout
from urllib3.exceptions import HTTPError

from otp import USER_AGENT
from otp.alerts.alert import Alert
from otp.setting_types import is_loopback

DEADLINE = 5.0  # seconds for a try, from the connection to the head of the response
PAUSES = (1.0, 3.0)  # seconds before the second try and the third
_PREFIX = "whsec_"
_LEAST_BYTES = 24  # https://github.com/standard-webhooks/standard-webhooks, "Symmetric signatures"


def check_url(url: str) -> None:
    """Check that alerts can be posted there, and read by nobody on the way.

    Raises:
        ValueError: they cannot.
    """
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not parts.hostname or not safe or "@" in parts.netloc or parts.fragment:
        raise ValueError("must be a URL that starts with https://")


def signing_key(secret: str) -> bytes:
    """The bytes that `whsec_...` stands for.

    Raises:
        ValueError: it is not base64, or too short to be safe.
    """
    with suppress(ValueError):
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        if secret.startswith(_PREFIX) and len(key) >= _LEAST_BYTES:
            return key
    raise ValueError(f"must be {_PREFIX} and then base64 of at least {_LEAST_BYTES} random bytes")


class Webhook:
    """Posts alerts to `url`, signed with `key`."""

    def __init__(self, url: str, key: bytes) -> None:
        self._url = url
        self._key = key

    def post(self, alert: Alert) -> bool:
        """Whether the receiver took the alert (any 2xx) in one of three tries, all with the same webhook-id."""
        message_id, body = f"msg_{secrets.token_hex(16)}", alert.body()
        for pause in (*PAUSES, None):
            if self._try(message_id, body):
                return True
            if pause:
                time.sleep(pause)
        return False

    def _try(self, message_id: str, body: bytes) -> bool:
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **self._signature(message_id, body)}
        try:
            with Timeout(DEADLINE), requests.Session() as session:
                session.trust_env = False  # no proxy, no .netrc
                # The response's body is not read. A redirect is a failure: the signature is for this address alone.
                with session.post(
                    self._url, body, headers=headers, timeout=DEADLINE, allow_redirects=False, stream=True
                ) as response:
                    return response.status_code // 100 == 2
        except (Timeout, requests.RequestException, HTTPError, OSError):
            return False

    def _signature(self, message_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        digest = hmac.digest(self._key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
