"""Fuzzes the HTTP border: the response to any request is JSON with a stable code, and never a 500."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from sandbox.server import EMAIL_MESSAGE_ID
from tests.faults.fuzzing import examples
from tests.support.running import OPEN, Sandbox, Service

CODES = {
    200: {""},
    400: {
        "invalid_request",
        "invalid_channel",
        "channel_not_available",
        "invalid_recipient",
        "invalid_phone_number",
        "phone_number_not_allowed",
        "phone_number_not_callable",
        "phone_number_unreachable",
        "invalid_email",
        "invalid_locale",
        "invalid_placeholders",
        "invalid_purpose",
        "invalid_nonce",
        "invalid_pin_format",
        "bad_request",
    },
    401: {"invalid_otp"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    409: {"request_in_progress"},
    413: {"request_too_large"},
    415: {"unsupported_media_type"},
    422: {"idempotency_key_reused"},
    429: {"too_many_requests"},
}
NAMES = st.sampled_from(["phoneNumber", "email", "channel", "locale", "placeholders", "pin", "verificationId", "x"])
PHONES = st.sampled_from(["+14155552671", "+442071838750", "+4915112345678"]) | st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | PHONES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=4).map(lambda body: json.dumps(body).encode())
GOOD = st.fixed_dictionaries(
    {"pin": VALUES},
    optional={
        "phoneNumber": PHONES,
        "email": st.emails() | st.text(max_size=20),
        "channel": st.sampled_from(["sms", "voice", "email"]) | st.text(max_size=5),
        "locale": st.sampled_from(["de", "pt-BR"]) | st.text(max_size=10),
        "placeholders": st.dictionaries(st.sampled_from(["firstName", "x"]), st.text(max_size=60), max_size=2),
        "verificationId": st.none() | st.text(max_size=30),
    },
).map(lambda body: json.dumps(body).encode())
CONTENTS = st.one_of(st.binary(max_size=200), VALUES.map(lambda value: json.dumps(value).encode()), BODIES, GOOD)
HEADER_NAMES = st.sampled_from(
    [
        "Content-Type",
        "Content-Encoding",
        "Accept-Language",
        "Idempotency-Key",
        "X-Request-ID",
        "X-Forwarded-For",
        "Authorization",
        "Cookie",
    ]
) | st.sampled_from(["Accept", "Accept-Encoding", "Expect", "Origin", "Range", "X-HTTP-Method-Override", "Forwarded"])
HEADERS = st.lists(
    st.tuples(HEADER_NAMES, st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)),
    max_size=4,
)
JSON = [("Content-Type", "application/json")]
METHODS = st.sampled_from(["POST"] * 8 + ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "FOO"])
PATHS = st.sampled_from(["/send-otp", "/resend-otp", "/verify-otp"])


@pytest.fixture
def border(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """Return the service with high limits."""
    all_of_it = {
        "TOTAL_SEND_LIMIT": OPEN,
        "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID,
        "ALLOWED_PLACEHOLDERS": "firstName",
    }
    return start(sandbox.url, INFOBIP_TEMPLATES='{"sms": {"de": "unknown"}}', **all_of_it)


def ask(service: Service, request: bytes) -> bytes:
    """Send these bytes, and return all responses until the service closes the connection, within 10 seconds."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


def request(method: str, path: str, headers: list[tuple[str, str]], content: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def last_answer(answer: bytes) -> tuple[int, Any]:
    """Return the status and the body of the last response. The body is JSON or, for OPTIONS, empty."""
    head, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    status = int(head.split()[1])
    of_type = b"\r\ncontent-type: " in head.lower()
    assert b"\r\ncontent-type: application/json\r\n" in head.lower() or not (body or of_type)
    assert b"x-request-id: " in head.lower()
    return status, json.loads(body or b"null")


def is_stable(answer: bytes) -> None:
    status, body = last_answer(answer)
    code = "" if status == 200 else body["code"]
    assert code in CODES[status], (status, body)
    assert set(body) == {"error", "code"} or status == 200


def test_any_body_and_any_headers_get_a_stable_code(border: Service) -> None:
    @examples(short=100, long=6000)
    @given(path=PATHS, given_headers=HEADERS, content=CONTENTS, with_type=st.booleans())
    def fuzz(path: str, given_headers: list[tuple[str, str]], content: bytes, with_type: bool) -> None:
        is_stable(ask(border, request("POST", path, [*(JSON if with_type else []), *given_headers], content)))

    fuzz()
    assert not border.lines(event="bug")


def test_any_json_gets_a_stable_code(border: Service) -> None:
    @examples(short=60, long=2000)
    @given(path=PATHS, content=st.one_of(BODIES, GOOD))
    def fuzz(path: str, content: bytes) -> None:
        is_stable(ask(border, request("POST", path, JSON, content)))

    fuzz()
    assert not border.lines(event="bug")


def test_any_method_and_any_bytes_get_a_known_status(border: Service) -> None:
    """The bytes need not be HTTP. A client that sends nothing, or half a request, gets no response or a 400."""

    @examples(short=60, long=2000)
    @given(
        method=METHODS,
        path=PATHS | st.text("/sendverify-otp%?#.\\", max_size=12),
        raw=st.binary(max_size=60),
        cut=st.booleans(),
    )
    def fuzz(method: str, path: str, raw: bytes, cut: bool) -> None:
        whole = request(method, path, JSON, b'{"phoneNumber":"+14155552671"}')
        answer = ask(border, whole[: len(whole) * 2 // 3] + raw if cut else raw + whole)
        assert answer == b"" or last_answer(answer)[0] in {*CODES, 204}, answer

    fuzz()
    assert not border.lines(event="bug")
