"""Reads the URL of Infobip."""

import re
from urllib.parse import SplitResult, urlsplit

from otp.setting_types import is_loopback

# No empty port, and nothing empty in its path (RFC 3986, 3.3).
_BASE = re.compile(r"https?://[^\s\\/?#@]*[^\s\\/?#@:](/[A-Za-z0-9._~!$&'()*+,;=:%-]+)*")
_HOST = re.compile("[a-z0-9_-]{1,63}([.][a-z0-9_-]{1,63})*[.]?|[0-9a-f:.]+")


def read_base_url(given: str) -> str:
    """Return the URL that a host or a URL stands for, without a slash at its end. The default scheme is https.

    Raises:
        ValueError: it is neither a host nor such a URL.
    """
    url = (given if "://" in given else f"https://{given}").rstrip("/")
    if not _BASE.fullmatch(url) or not _names_a_host(urlsplit(url)):
        raise ValueError("must be a host or a URL like https://xxxxx.api.infobip.com")
    return url


def is_in_the_clear(url: str) -> bool:
    """Whether requests leave this machine without TLS."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _names_a_host(url: SplitResult) -> bool:
    """Whether its host can be looked up and its port connected to. If not, each send would fail."""
    try:
        return url.port != 0 and bool(_HOST.fullmatch((url.hostname or "").encode("idna").decode()))
    except ValueError:  # as UnicodeError is, too
        return False
