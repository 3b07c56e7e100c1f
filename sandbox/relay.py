"""Forwards the requests of the page's form to the service, and records both messages as sent."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from sandbox import http_post

TIMEOUT = 60.0  # seconds; the service responds sooner with any sensible INFOBIP_TIMEOUT


class NoAnswerError(Exception):
    """There was no response. The message is a sentence for people."""


@dataclass(frozen=True)
class Exchange:
    """`request` and `answer` are the whole HTTP messages; the other fields are parts of the response."""

    request: str
    answer: str
    status: int
    retry_after: int | None
    body: Any


@dataclass(frozen=True)
class Relay:
    """Forwards to the service. This process reaches it at `url`, people at `public_url`.

    `limits` are its limits by address (`send`, `verify`), as in the settings; None if they are not known.
    """

    url: str = "http://127.0.0.1:3000"
    public_url: str = "http://localhost:3000"
    limits: Mapping[str, str] | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Relay":
        """A relay by SERVICE_URL and the service's own settings."""
        send, verify = environment.get("SEND_OTP_LIMIT"), environment.get("VERIFY_OTP_LIMIT")
        return cls(
            url=environment.get("SERVICE_URL") or cls.url,
            public_url=f"http://localhost:{environment.get('PORT') or 3000}",
            limits={"send": send, "verify": verify} if send and verify else None,
        )

    def post(self, path: str, content_type: str, body: bytes) -> Exchange:
        """Post `body` without changes.

        Raises:
            NoAnswerError: no HTTP response within TIMEOUT seconds.
        """
        head = http_post.head(path, urlsplit(self.public_url).netloc, content_type, len(body))
        try:
            response, content = http_post.post(self.url, head.encode("latin-1") + body, TIMEOUT)
        except (OSError, HTTPException) as e:
            raise NoAnswerError(f"Nothing answers at {self.public_url}: is the service running?") from e
        text = content.decode(errors="replace")
        lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{k}: {v}" for k, v in response.getheaders())]
        return Exchange(
            request=head.replace("\r\n", "\n") + body.decode(errors="replace"),
            answer="\n".join([*lines, "", text]),
            status=response.status,
            retry_after=int(wait) if (wait := response.getheader("Retry-After", "")).isdecimal() else None,
            body=_json(text),
        )


def _json(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    return None
