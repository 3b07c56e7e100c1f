"""Whatever a client sends, the response is JSON with a stable error code."""

import json
import socket
from typing import Any

import pytest
import requests

from tests.support.running import Service, refusal

JSON = {"Content-Type": "application/json"}

BOMB = b"[" * 4000 + b"]" * 4000
BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "no json": b"phoneNumber=1",
    "a list": b'["+14155552671"]',
    "a string": b'"+14155552671"',
    "null": b"null",
    "no field": b"{}",
    "wrong case": b'{"phonenumber":"+14155552671"}',
    "a number": b'{"phoneNumber":14155552671}',
    "true": b'{"phoneNumber":true}',
    "a list inside": b'{"phoneNumber":["+14155552671"]}',
    "duplicate keys": b'{"phoneNumber":"+14155552671","phoneNumber":"+14155552672"}',
    "duplicate keys deep inside": b'{"phoneNumber":"+14155552671","x":[{"a":1,"a":2}]}',
    "NaN": b'{"phoneNumber":"+14155552671","x":NaN}',
    "Infinity": b'{"phoneNumber":"+14155552671","x":-Infinity}',
    "a huge integer": b'{"phoneNumber":"+14155552671","x":' + b"1" * 5000 + b"}",
    "a depth bomb": b"[" * 16000,
    "a closed depth bomb": b'{"phoneNumber":"+14155552671","x":' + BOMB + b"}",
    "a depth bomb of objects": b'{"phoneNumber":"+14155552671","x":' + b'{"":' * 3000 + b"1" + b"}" * 3001,
    "a depth bomb behind a string": b'{"phoneNumber":"+14155552671","x":"' + b"]" * 4000 + b'","y":' + BOMB + b"}",
    "strings that never end": b'\\"' * 8000,
    "utf-16": '{"phoneNumber":"+14155552671"}'.encode("utf-16"),
    "latin-1": b'{"phoneNumber":"+14155552671\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"phoneNumber":"+14155552671"}',
    "a lone surrogate": b'{"phoneNumber":"\\ud800"}',
    "a lone surrogate elsewhere": b'{"phoneNumber":"+14155552671","x":["\\udfff"]}',
    "two documents": b'{"phoneNumber":"+14155552671"}{}',
    "a trailing comma": b'{"phoneNumber":"+14155552671",}',
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_body_that_is_not_strict_json_is_refused(service: Service, case: str) -> None:
    response = service.post("/send-otp", data=BAD_BODIES[case], headers=JSON)
    assert refusal(response) == (400, "invalid_request")


BAD_NUMBERS = [
    "", " ", "+", "abc", "123", "+1", "4155552671", "+447700900123", "+1415555267", "+1415555267100000",
    "tel:+14155552671", "+14155552671;ext=5", "+1415555CALL", "+1415555\x002671", "\x1b+14155552671",
    "++14155552671", "+1+4155552671", "+＋14155552671", "+14155552671x5", "+14155552671#5", "+14155552671,5",
    "１４１５", "\u202a\u202c", "+1415555267¹", "+1415555267①", "+1415555267一", "+" + "1" * 60, "+" + "１" * 60,
    "+999123456789",
]  # fmt: skip


@pytest.mark.parametrize("number", BAD_NUMBERS, ids=ascii)
def test_an_invalid_phone_number_is_refused(service: Service, number: str) -> None:
    assert refusal(service.send(number)) == (400, "invalid_phone_number")
    assert refusal(service.verify(number, "123456")) == (400, "invalid_phone_number")


BAD_PINS: list[Any] = [
    "", " ", "\u200b", "12345", "1234567", "12345a", "１２３４５", "١٢٣٤٥٦٧", "12345²", "12345⑥", "12345六", "-12345",
    "1e5000", "123456\x00", "123.456", "+123456", "１２３４５Ａ",
    123456, 12345.6, True, None, ["1", "2", "3", "4", "5", "6"], {"pin": "123456"},
]  # fmt: skip


@pytest.mark.parametrize("pin", BAD_PINS, ids=ascii)
def test_a_pin_in_the_wrong_format_is_refused(service: Service, phone: str, pin: object) -> None:
    service.send(phone)
    assert refusal(service.verify(phone, pin)) == (400, "invalid_pin_format")


def test_a_verify_without_a_pin_is_refused(service: Service, phone: str) -> None:
    assert refusal(service.post("/verify-otp", {"phoneNumber": phone})) == (400, "invalid_request")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_another_content_type_or_encoding_is_refused(service: Service, headers: dict[str, str]) -> None:
    response = service.post("/send-otp", data=b'{"phoneNumber":"+14155552671"}', headers=headers)
    assert refusal(response) == (415, "unsupported_media_type")


def test_a_content_type_with_a_charset_is_accepted(service: Service, phone: str) -> None:
    body = json.dumps({"phoneNumber": phone})
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert service.post("/send-otp", data=body, headers=headers).status_code == 200


def padded(phone: str, size: int) -> bytes:
    """Return a valid body of exactly `size` bytes."""
    head = json.dumps({"phoneNumber": phone})[:-1] + ',"x":"'
    return (head + "a" * (size - len(head) - 2) + '"}').encode()


def nested(phone: str, levels: int) -> bytes:
    """Return a valid body with that many levels of nesting; brackets within its strings are not levels."""
    start = json.dumps({"phoneNumber": phone, "y": '[{\\"' * 100, "x": 0})[:-2]
    return (start + "[" * (levels - 1) + "]" * (levels - 1) + "}").encode()


@pytest.mark.parametrize(("levels", "status"), [(64, 200), (65, 400), (500, 400)])
def test_a_body_may_have_64_levels(service: Service, phone: str, levels: int, status: int) -> None:
    response = service.post("/send-otp", data=nested(phone, levels), headers=JSON)
    assert response.status_code == status
    assert status == 200 or refusal(response) == (400, "invalid_request")


def test_many_values_on_one_level_are_accepted(service: Service, phone: str) -> None:
    assert service.post("/send-otp", {"phoneNumber": phone, "x": [[]] * 1000}).status_code == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["at once", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(16 * 1024, 200), (16 * 1024 + 1, 413), (1024 * 1024, 413)])
def test_a_body_may_have_16_kib(service: Service, phone: str, chunked: bool, size: int, status: int) -> None:
    content = padded(phone, size)
    body = (content[i : i + 4000] for i in range(0, size, 4000)) if chunked else content
    response = service.post("/send-otp", data=body, headers=JSON)
    assert response.status_code == status
    assert status == 200 or refusal(response) == (413, "request_too_large")


def test_unknown_members_are_ignored(service: Service, phone: str) -> None:
    assert service.post("/send-otp", {"phoneNumber": phone, "campaign": "x"}).status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/send-otp/", "/../etc/passwd", "/%00", "/docs//page.js", "/proofs//redeem"])
def test_an_unknown_path_is_not_found(service: Service, path: str) -> None:
    assert refusal(requests.post(service.url + path, json={}, timeout=5)) == (404, "not_found")


def test_head_has_the_content_length_of_get(service: Service) -> None:
    get, head = (requests.request(method, f"{service.url}/healthz", timeout=5) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(get.content)))


def test_an_empty_response_has_no_content_type(service: Service) -> None:
    response = requests.options(f"{service.url}/send-otp", timeout=5)
    assert (response.status_code, response.content) == (200, b"")
    assert "Content-Type" not in response.headers
    assert {*response.headers["Allow"].split(", ")} == {"POST", "OPTIONS"}


@pytest.mark.parametrize("path", ["/healthz", "/nope", "/docs/page.js"])
def test_the_headers_of_every_response(service: Service, path: str) -> None:
    given = {"X-Request-ID": "as-it-was-asked"}
    headers = requests.get(f"{service.url}{path}", headers=given, timeout=5).headers
    assert headers["X-Request-ID"] == "as-it-was-asked"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == ("no-cache" if "docs" in path else "no-store")


def test_any_host_header_is_accepted(service: Service) -> None:
    for host in ("otp.example.com", "a..b", "x" * 80):
        assert requests.get(f"{service.url}/healthz", headers={"Host": host}, timeout=5).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_refused_with_the_allowed_ones(service: Service, method: str) -> None:
    response = requests.request(method, f"{service.url}/send-otp", timeout=5)
    assert refusal(response) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def spoken(service: Service, request: bytes) -> tuple[str, dict[str, str]]:
    """Send the bytes of `request` unchanged, and return the status line and the JSON body of the response."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), json.loads(body)


def test_a_path_with_two_slashes_gets_a_json_response(service: Service) -> None:
    """A redirect to the path with one slash would be an HTML response."""
    status, body = spoken(service, b"POST //send-otp HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status, body["code"]) == ("HTTP/1.1 415 UNSUPPORTED MEDIA TYPE", "unsupported_media_type")


INVALID_HTTP = {
    "garbage": b"hello\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a huge header": b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    "two lengths": b"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "broken chunks": b"POST /send-otp HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("case", INVALID_HTTP)
def test_invalid_http_is_refused_in_json(service: Service, case: str) -> None:
    status, body = spoken(service, INVALID_HTTP[case])
    assert status.startswith("HTTP/1.1 400 ")
    assert body["code"] == "invalid_request"
    assert not service.lines(event="bug")


def test_a_client_that_disconnects_within_its_body_causes_no_error(service: Service, phone: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(
            b"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
    assert service.send(phone).status_code == 200
    assert not service.lines(event="bug")
