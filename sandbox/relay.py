"""What the page's form asks the service, and the answer, both as they went over the wire."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from sandbox import http_post

TIMEOUT = 60.0  # seconds; longer than the service takes with any sensible INFOBIP_TIMEOUT


class NoAnswerError(Exception):
    """Nothing answered. Its text is a sentence for people."""


@dataclass(frozen=True)
class Exchange:
    """`request` and `answer` are the texts of the wire; the rest is what the answer says."""

    request: str
    answer: str
    status: int
    retry_after: int | None
    body: Any


@dataclass(frozen=True)
class Relay:
    """The way to the service: `url` as this process reaches it, `shown` as a person does.

    `limits` are the service's by address (`send`, `verify`), in words; None where they are not known.
    """

    url: str = "http://127.0.0.1:3000"
    shown: str = "http://localhost:3000"
    limits: Mapping[str, str] | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Relay":
        """By SERVICE_URL and the service's own settings."""
        send, verify = environment.get("SEND_OTP_LIMIT"), environment.get("VERIFY_OTP_LIMIT")
        return cls(
            url=environment.get("SERVICE_URL") or cls.url,
            shown=f"http://localhost:{environment.get('PORT') or 3000}",
            limits={"send": send, "verify": verify} if send and verify else None,
        )

    def post(self, path: str, content_type: str, body: bytes) -> Exchange:
        """Post `body`, untouched.

        Raises:
            NoAnswerError: no answer within TIMEOUT seconds, or one that is no HTTP.
        """
        head = http_post.head(path, urlsplit(self.shown).netloc, content_type, len(body))
        try:
            response, content = http_post.post(self.url, head.encode("latin-1") + body, TIMEOUT)
        except (OSError, HTTPException) as e:
            raise NoAnswerError(f"Nothing answers at {self.shown}: is `make run` running?") from e
        text = content.decode(errors="replace")
        lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{k}: {v}" for k, v in response.getheaders())]
        return Exchange(
            request=_text(head) + body.decode(errors="replace"),
            answer="\n".join([*lines, "", text]),
            status=response.status,
            retry_after=_seconds(response.getheader("Retry-After", "")),
            body=_json(text),
        )


def _text(head: str) -> str:
    return head.replace("\r\n", "\n")


def _seconds(retry_after: str) -> int | None:
    return int(retry_after) if retry_after.isdecimal() else None


def _json(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    return None
