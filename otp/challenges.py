"""Asks whether a person has passed a challenge on a web page: Turnstile, hCaptcha or reCAPTCHA.

All three take the same form at their `siteverify`, and answer with the same JSON. Sources:
https://developers.cloudflare.com/turnstile/get-started/server-side-validation/,
https://docs.hcaptcha.com/#verify-the-user-response-server-side, https://developers.google.com/recaptcha/docs/verify.
"""

import logging
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import requests
from pydantic import Field, ValidationError

from otp import USER_AGENT
from otp.errors import ChallengeFailed, ChallengeUnavailable, ServiceUnavailable
from otp.http_client.adapter import OneHostAdapter, prepare
from otp.http_client.bulkhead import Bulkhead
from otp.http_client.strict_response import StrictResponse
from otp.requester import SUBNET, UNKNOWN
from otp.setting_types import is_loopback

log = logging.getLogger("otp.challenge")

DEADLINE = 3.0  # seconds, from the DNS lookup to the last byte
IN_FLIGHT = 200  # in one worker
LONGEST_TOKEN = 8192  # characters; Turnstile's have 2,048 at most, those of the others have no documented maximum
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": USER_AGENT}
# Codes of errors that the token did not cause. Only codes of this list are logged.
_OURS = {"missing-input-secret", "invalid-input-secret", "sitekey-secret-mismatch", "bad-request", "internal-error"}


class Vendor(NamedTuple):
    """`url` is of its siteverify; a token with a lower `score` than `least_score` is refused."""

    url: str
    least_score: float = 0.0  # hCaptcha's scores are risks, and decide nothing here


VENDORS = {
    "turnstile": Vendor("https://challenges.cloudflare.com/turnstile/v0/siteverify"),
    "hcaptcha": Vendor("https://api.hcaptcha.com/siteverify"),
    "recaptcha": Vendor("https://www.google.com/recaptcha/api/siteverify", 0.5),  # of v3; its documents' default
}
# Published for tests: every token passes, or none does. Sources: developers.cloudflare.com/turnstile/
# troubleshooting/testing, docs.hcaptcha.com/#integration-testing-test-keys, developers.google.com/recaptcha/docs/faq.
TEST_SECRETS = {
    "1x0000000000000000000000000000000AA",
    "2x0000000000000000000000000000000AA",
    "3x0000000000000000000000000000000AA",
    "0x0000000000000000000000000000000000000000",
    "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe",
}


class _Verdict(StrictResponse):
    success: bool
    hostname: str | None = None
    score: float | None = None
    error_codes: list[str] = Field(default_factory=list, alias="error-codes")


def check_test_url(url: str) -> None:
    """Check that `url` is on this machine: the secret goes there, and its answers are believed.

    Raises:
        ValueError: it is not.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not is_loopback(parts.hostname or "") or "@" in parts.netloc:
        raise ValueError("must be a URL of this machine, like http://127.0.0.1:3001/siteverify: it is for tests")


class Challenges:
    """Checks tokens at one vendor. Each worker needs its own instance.

    Args:
        secret: the site's secret at the vendor.
        hostnames: the hosts of the pages on which a challenge may have been passed.
        url: replaces the vendor's own, for tests.
    """

    def __init__(self, vendor: Vendor, secret: str, hostnames: frozenset[str], url: str | None = None) -> None:
        self._url = url or vendor.url
        self._least_score = vendor.least_score
        self._secret = secret
        self._hostnames = hostnames
        self._adapter = OneHostAdapter(self._url, pool_size=8)
        self._in_flight = Bulkhead(IN_FLIGHT)

    def check(self, token: str | None, address: str) -> None:
        """Check the `token` of a request from this client address.

        Raises:
            ChallengeFailed: the token is missing, too long, of another page, or refused.
            ChallengeUnavailable: too many checks are in flight, or the vendor does not answer or refuses the secret.
        """
        if not token or len(token) > LONGEST_TOKEN:
            raise ChallengeFailed
        try:
            with self._in_flight:
                verdict = self._ask(token, address)
        except (ServiceUnavailable, requests.RequestException, ValidationError) as e:
            log.error("challenge_unavailable", extra={"error": type(e.__cause__ or e).__name__})
            raise ChallengeUnavailable(retry_after=1) from e
        self._judge(verdict)

    def _ask(self, token: str, address: str) -> _Verdict:
        is_exact = address != UNKNOWN and not address.endswith(SUBNET)
        fields = {"secret": self._secret, "response": token, **({"remoteip": address} if is_exact else {})}
        request = prepare("POST", self._url, _HEADERS, urlencode(fields).encode())
        response = self._adapter.send(request, timeout=DEADLINE)
        if response.status_code // 100 not in (2, 4):  # a redirect is not a result
            raise requests.HTTPError
        return _Verdict.model_validate_json(response.content)

    def _judge(self, verdict: _Verdict) -> None:
        if ours := _OURS.intersection(verdict.error_codes):
            log.error("challenge_unavailable", extra={"error": min(ours)})
            raise ChallengeUnavailable(retry_after=1)
        is_here = (verdict.hostname or "").lower() in self._hostnames
        is_low = verdict.score is not None and verdict.score < self._least_score
        if not verdict.success or not is_here or is_low:
            raise ChallengeFailed
