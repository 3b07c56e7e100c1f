"""Tests the parser of responses: what it reads, what it refuses, and when the connection can be used again."""

import pytest

from otp.http_client.http_response import MAX_BODY, MAX_BYTES, MAX_HEADERS, BadResponseError, HttpResponse

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Retry-After: 7\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*parts: bytes) -> HttpResponse:
    """Feed the parts to a parser one after the other, and return the response."""
    response = HttpResponse()
    for part in parts:
        response.feed(part)
    response.close()
    return response


@pytest.mark.parametrize(
    ("received", "status", "body"),
    {
        "by its length": (WHOLE, 200, b"{}"),
        "in chunks": (CHUNKED + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", 200, b"{}"),
        "with trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: a\r\n\r\n", 200, b"{}"),
        "without a body": (OK + b"Content-Length: 0\r\n\r\n", 200, b""),
        "after an interim one": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + WHOLE, 200, b"{}"),
        "after early hints": (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n" + WHOLE, 200, b"{}"),
        "without a reason": (b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", 503, b""),
    }.values(),
)
def test_a_response_after_which_the_connection_is_reusable(received: bytes, status: int, body: bytes) -> None:
    for response in (read(received), read(*(bytes([byte]) for byte in received))):
        assert (response.status, response.body) == (status, body)
        assert response.is_complete
        assert response.is_reusable


LAST = {
    "a second response": WHOLE + WHOLE,
    "the first byte of a second one": WHOLE + b"H",
    "garbage behind it": WHOLE + b"SMTP",
    "a NUL behind it": WHOLE + b"\x00",
    "a body that is longer than promised": WHOLE + b"}",
    "a chunked one and another": CHUNKED + b"2\r\n{}\r\n0\r\n\r\n" + WHOLE,
    "close": OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
    "close among others": OK + b"Connection: keep-alive, Close\r\nContent-Length: 2\r\n\r\n{}",
    "close, and a second one": OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}" + WHOLE,
    "close, which a trailer cannot take back": OK
    + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.0 that would stay": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("received", LAST.values(), ids=LAST)
def test_a_response_after_which_the_connection_is_not_reusable(received: bytes) -> None:
    response = read(received)
    assert (response.status, response.body, response.is_complete) == (200, b"{}", True)
    assert not response.is_reusable


@pytest.mark.parametrize("status", [204, 304])
def test_a_connection_is_not_reusable_after_a_204_or_304(status: int) -> None:
    response = read(f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n".encode())
    assert response.is_complete
    assert not response.is_reusable


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    response = read(OK + b"\r\n{", b"}", b"")
    assert (response.body, response.is_complete, response.is_reusable) == (b"{}", True, False)


BROKEN = {
    "nothing": [b""],
    "half a head": [OK, b""],
    "an interim response alone": [b"HTTP/1.1 100 Continue\r\n\r\n", b""],
    "cut off": [OK + b"Content-Length: 3\r\n\r\n{}", b""],
    "cut off in a chunk": [CHUNKED + b"3\r\n{}", b""],
    "cut off before the last chunk": [CHUNKED + b"2\r\n{}\r\n", b""],
    "cut off in the trailers": [CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n", b""],
    "an encoding that has no end": [OK + b"Transfer-Encoding: gzip\r\n\r\n{}", b""],
    "chunked, but not last": [OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b""],
    "two lengths": [OK + b"Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}"],
    "the same length twice": [OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"],
    "a list of lengths": [OK + b"Content-Length: 2, 2\r\n\r\n{}"],
    "a signed length": [OK + b"Content-Length: +2\r\n\r\n{}"],
    "a length beyond all numbers": [OK + b"Content-Length: 99999999999999999999999\r\n\r\n{}"],
    "a length and chunks": [OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    "chunks and a length": [OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}"],
    "a blank before the colon": [OK + b"Content-Length : 2\r\n\r\n{}"],
    "a folded line": [OK + b"X: y\r\n z\r\nContent-Length: 2\r\n\r\n{}"],
    "bare line feeds": [b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"],
    "a chunk of nonsense": [CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n"],
    "a change of protocol": [b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + WHOLE],
    "a change of protocol without a word": [b"HTTP/1.1 101 X\r\n\r\n" + WHOLE],
    "HTTP/2": [b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
    "HTTP/0.9": [b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
    "a request": [b"GET / HTTP/1.1\r\n\r\n"],
    "a status below all": [b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\n{}"],
}


@pytest.mark.parametrize("received", BROKEN.values(), ids=BROKEN)
def test_an_invalid_response_is_refused(received: list[bytes]) -> None:
    with pytest.raises(BadResponseError):
        read(*received)


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_maximum_counts_as_empty(size: int, chunked: bool) -> None:
    """A body that is too large counts as empty, and the parser does not wait for the rest of it."""
    head = CHUNKED + f"{size:x}\r\n".encode() if chunked else OK + f"Content-Length: {size}\r\n\r\n".encode()
    response = read(head + b"a" * size + b"\r\n0\r\n\r\n" * chunked)
    assert response.is_complete
    assert len(response.body) == (size if size == MAX_BODY else 0)
    assert response.is_reusable == (size == MAX_BODY)


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_size_of_a_response_is_bounded(beyond: int) -> None:
    start = CHUNKED + b"1;"
    response = read(start, b"a" * (MAX_BYTES - len(start)))
    assert not response.is_complete
    if beyond:
        with pytest.raises(BadResponseError):
            response.feed(b"a")


@pytest.mark.parametrize("place", ["interim", "head", "trailers"])
@pytest.mark.parametrize("beyond", [0, 1])
def test_the_number_of_headers_is_bounded(place: str, beyond: int) -> None:
    many = b"X: y\r\n" * (MAX_HEADERS - 1 + beyond)  # in addition to the one that frames the body
    received = {
        "interim": b"HTTP/1.1 100 Continue\r\n" + many + b"\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
        "head": OK + many + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "trailers": CHUNKED + b"2\r\n{}\r\n0\r\n" + many + b"\r\n",
    }[place]
    if not beyond:
        assert read(received).body == b"{}"
        return
    with pytest.raises(BadResponseError):
        read(received)


def test_headers_are_those_of_the_final_response() -> None:
    """Neither headers of an interim or a second response nor trailers are among them."""
    interim, trailer = b"HTTP/1.1 103 X\r\nRetry-After: 1\r\n\r\n", b"Retry-After: 2\r\n"
    response = read(interim + OK + b"X-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + trailer + b"\r\n" + WHOLE)
    assert response.headers == [("X-Empty", ""), ("Transfer-Encoding", "chunked")]
