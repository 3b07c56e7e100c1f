"""Posts delivery reports to DELIVERY_REPORTS_URL, which at Infobip is a subscription's."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPException
from urllib.parse import urlsplit

import gevent
from gevent.pool import Pool

from sandbox import http_post
from sandbox.delivery_report import report
from sandbox.pins import Message

DELAY = 0.5  # seconds from the send to its report
DEADLINE = 5.0  # seconds for the receiver
RETRIES = 5
UNDER_WAY = 1000  # reports at a time; one more is not made


class Reporter:
    """Tells `url` what became of messages, in the background of the server that it is used in.

    Args:
        url: an http one; its path may hold a secret. None posts nothing.
        clock: seconds.
        minute: how many seconds one of Infobip's minutes takes here. It asks again after 1, 2, 5, 10 and 17 of them.
    """

    def __init__(self, url: str | None, clock: Callable[[], float], minute: float = 1.0) -> None:
        self._url = url
        self._clock = clock
        self._pauses = [minute + minute * n * n for n in range(RETRIES)]
        self._under_way = Pool(UNDER_WAY)
        self._stopped = False

    @classmethod
    def of(cls, environment: Mapping[str, str], clock: Callable[[], float]) -> "Reporter":
        """By DELIVERY_REPORTS_URL.

        Raises:
            ValueError: it is no http URL.
        """
        url = environment.get("DELIVERY_REPORTS_URL") or None
        if url and not _is_http(url):
            raise ValueError("DELIVERY_REPORTS_URL: must be an http URL, without a user")
        return cls(url, clock)

    def follow(self, message: Message) -> None:
        """Report on `message` a moment later. Returns at once."""
        if self._url and not self._under_way.full():
            self._under_way.spawn(self._report, self._url, message)

    def stop(self) -> None:
        """Post nothing more, not even what is waiting to be posted again. From any thread."""
        self._stopped = True

    def _report(self, url: str, message: Message) -> None:
        gevent.sleep(DELAY)
        body = json.dumps(report(message, self._clock())).encode()
        for pause in self._pauses:
            if self._stopped or _taken(url, body):
                return
            gevent.sleep(pause)
        if not self._stopped and not _taken(url, body):
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


def _taken(url: str, body: bytes) -> bool:
    """Whether the receiver says so, with any 2xx."""
    address = urlsplit(url)
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    head = http_post.head(path, address.netloc, "application/json", len(body))
    try:
        with gevent.Timeout(DEADLINE):
            return http_post.post(url, head.encode() + body, DEADLINE)[0].status // 100 == 2
    except (gevent.Timeout, OSError, HTTPException):
        return False
