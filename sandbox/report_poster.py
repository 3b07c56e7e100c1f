"""Posts delivery reports to DELIVERY_REPORTS_URL; at Infobip, a subscription has the URL."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPException
from urllib.parse import urlsplit

import gevent
from gevent.pool import Pool

from sandbox import http_post
from sandbox.delivery_report import report_body
from sandbox.pins import Message

DELAY = 0.5  # seconds from the send to its report
DEADLINE = 5.0  # seconds for the receiver
RETRIES = 5
MAX_PENDING = 1000  # reports at a time; further ones are dropped


class ReportPoster:
    """Posts delivery reports of messages to `url`, in background greenlets.

    Args:
        url: has the scheme http; its path may contain a secret. None posts nothing.
        clock: seconds.
        minute: the seconds that stand for one minute of Infobip's, which retries after 1, 2, 5, 10 and 17 minutes.
    """

    def __init__(self, url: str | None, clock: Callable[[], float], minute: float = 1.0) -> None:
        self._url = url
        self._clock = clock
        self._pauses = [minute + minute * n * n for n in range(RETRIES)]
        self._pending = Pool(MAX_PENDING)
        self._stopped = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], clock: Callable[[], float]) -> "ReportPoster":
        """A poster to DELIVERY_REPORTS_URL.

        Raises:
            ValueError: it is not an http URL.
        """
        url = environment.get("DELIVERY_REPORTS_URL") or None
        if url and not _is_http(url):
            raise ValueError("DELIVERY_REPORTS_URL: must be an http URL, without a user")
        return cls(url, clock)

    def post_later(self, message: Message) -> None:
        """Post the report of `message` after DELAY. Returns immediately."""
        if self._url and not self._pending.full():
            self._pending.spawn(self._post_until_accepted, self._url, message)

    def stop(self) -> None:
        """Post nothing more, and retry nothing. Any thread may call it."""
        self._stopped = True

    def _post_until_accepted(self, url: str, message: Message) -> None:
        gevent.sleep(DELAY)
        body = json.dumps(report_body(message, self._clock())).encode()
        for pause in self._pauses:
            if self._stopped or _post(url, body):
                return
            gevent.sleep(pause)
        if not self._stopped and not _post(url, body):
            where = urlsplit(url).netloc  # the rest may be secret
            print(
                f"http://{where} did not take the delivery report of {message.message_id}.", file=sys.stderr, flush=True
            )


def _is_http(url: str) -> bool:
    try:
        address = urlsplit(url)
        return bool(re.fullmatch("http://[!-~]+", url) and address.hostname and address.port != 0) and "@" not in url
    except ValueError:
        return False


def _post(url: str, body: bytes) -> bool:
    """Post once, and return whether the receiver responded with a 2xx."""
    address = urlsplit(url)
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    head = http_post.head(path, address.netloc, "application/json", len(body))
    try:
        with gevent.Timeout(DEADLINE):
            return http_post.post(url, head.encode() + body, DEADLINE)[0].status // 100 == 2
    except (gevent.Timeout, OSError, HTTPException):
        return False
