"""Infobip's API, called directly, without a client library."""

from typing import Any

import requests

from sandbox.authorization import API_KEY
from sandbox.server import APPLICATION_ID, MESSAGE_ID

Answer = tuple[int, Any]
TO = "4915112345678"
THROTTLED = (429, "TOO_MANY_REQUESTS")
BAD = (400, "BAD_REQUEST")
UNKNOWN = (404, "NOT_FOUND")
APPLICATIONS = "/applications"
APPLICATION = f"{APPLICATIONS}/{APPLICATION_ID}"
TEMPLATES = f"{APPLICATION}/messages"
TEMPLATE = f"{TEMPLATES}/{MESSAGE_ID}"


def call(url: str, method: str, path: str, body: Any = None, authorization: str = f"App {API_KEY}") -> Answer:
    """Call `path`, which begins after /2fa/2. Return the status and the body."""
    headers = {"Authorization": authorization, "Connection": "close"}
    response = requests.request(method, f"{url}/2fa/2{path}", json=body, headers=headers, timeout=5)
    return response.status_code, response.json()


def send(url: str, to: Any = TO, path: str = "/pin", **more: Any) -> Answer:
    return call(url, "POST", path, {"applicationId": APPLICATION_ID, "messageId": MESSAGE_ID, "to": to, **more})


def resend(url: str, pin_id: str, path: str = "/resend", **more: Any) -> Answer:
    return call(url, "POST", f"/pin/{pin_id}{path}", more or None)


def verify(url: str, pin_id: str, pin: str) -> Answer:
    return call(url, "POST", f"/pin/{pin_id}/verify", {"pin": pin})


def error(answer: Answer) -> tuple[int, str]:
    """Return status and messageId of a refusal, after checking its shape."""
    status, body = answer
    assert set(body["requestError"]["serviceException"]) >= {"messageId", "text"}
    return status, body["requestError"]["serviceException"]["messageId"]


def wrong_fields(answer: Answer) -> dict[str, list[str]]:
    """Return what a 400 says of the request's fields."""
    assert error(answer) == BAD
    fields: dict[str, list[str]] = answer[1]["requestError"]["serviceException"]["validationErrors"]
    return fields
