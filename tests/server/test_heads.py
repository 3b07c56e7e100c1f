"""Heads of requests: whatever the fast reader accepts, gunicorn's parser accepts too, with the same result."""

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import create
from hypothesis import given, settings
from hypothesis import strategies as st

from otp.server.heads import LONGEST_FIELD, MOST_FIELDS, Environ, Head, read_accepted, read_common
from tests.server.test_connections import exchange, one_worker
from tests.support.running import Service

__all__ = ["one_worker"]

CONFIG = Config()
for name, value in {
    "limit_request_fields": MOST_FIELDS,
    "limit_request_field_size": LONGEST_FIELD,
    "limit_request_line": LONGEST_FIELD,
    "secure_scheme_headers": {},
    "forwarder_headers": "",
}.items():
    CONFIG.set(name, value)
PEER = ("127.0.0.1", 9)


def parsed_by_gunicorn(head: bytes) -> Request | None:
    """Return the request as gunicorn's parser reads it, or None if it refuses the head."""
    try:
        return Request(CONFIG, IterUnreader([head]), PEER)
    except (ParseException, StopIteration, OSError):
        return None


def gunicorn_environ(request: Request) -> Environ:
    """Return the environ that gunicorn itself would make."""
    _, environ = create(request, None, PEER, PEER, CONFIG)
    return {key: value for key, value in environ.items() if key.startswith("HTTP_") or key in KEYS}


KEYS = {"REQUEST_METHOD", "RAW_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL"}
KEYS |= {"CONTENT_TYPE", "CONTENT_LENGTH"}

USUAL = {
    "from a browser": b"GET /docs?x=1&y=%20 HTTP/1.1\r\nHost: x:3000\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n",
    "from curl": b"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n",
    "from a proxy": b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-Proto: https\r\n\r\n",
    "without a field": b"GET / HTTP/1.1\r\n\r\n",
    "spaces round a value": b"GET / HTTP/1.1\r\nA:\t b \t\r\nB:\r\n\r\n",
    "bytes outside ASCII": b"GET /%C3%A9 HTTP/1.1\r\nA: \xc3\xa9\xff\r\n\r\n",
    "a question mark and no query": b"GET /? HTTP/1.1\r\nHost: x\r\n\r\n",
    "a closed connection": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("case", USUAL)
def test_the_fast_reader_reads_usual_heads(case: str) -> None:
    head, request = read_common(USUAL[case]), parsed_by_gunicorn(USUAL[case])
    assert head
    assert request
    assert head.environ == gunicorn_environ(request) == read_accepted(request).environ


# Two servers may read each of these differently: as one request and two, or as another one. All are refused.
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
REFUSED = {
    "both a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, then a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths that are the same": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "two lengths in one field": POST + b"Content-Length: 1, 1\r\n\r\na",
    "a length with a sign": POST + b"Content-Length: +1\r\n\r\na",
    "a length below zero": POST + b"Content-Length: -1\r\n\r\na",
    "a length in hexadecimal": POST + b"Content-Length: 0x1\r\n\r\na",
    "a length with an underscore": POST + b"Content-Length: 1_0\r\n\r\na",
    "a superscript digit as the length": POST + b"Content-Length: \xb2\r\n\r\naa",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 1\r\n\r\na",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a folded field": POST + b"A: b\r\n c\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a first line that is folded": b"POST / HTTP/1.1\r\n Host: x\r\n\r\n",
    "lines that end with LF": b"POST / HTTP/1.1\nHost: x\n\n",
    "one line that ends with LF": b"POST / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "a CR in a value": POST + b"A: b\rContent-Length: 1\r\n\r\na",
    "a CR in the request line": b"GET /\r HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in a value": POST + b"A: b\x00c\r\n\r\n",
    "a NUL in a name": POST + b"A\x00: b\r\n\r\n",
    "a DEL in a value": POST + b"A: b\x7fc\r\n\r\n",
    "no name": POST + b": b\r\n\r\n",
    "no colon": POST + b"A\r\n\r\n",
    "a name outside ASCII": POST + b"\xc4: b\r\n\r\n",
    "a name with brackets": POST + b"A(b): c\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding after chunked": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "identity after chunked": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a coding other than chunked": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a quoted coding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a coding after a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "an empty coding": POST + b"Transfer-Encoding:\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two content types": POST + b"Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n",
    "another expectation": POST + b"Expect: 200-ok\r\n\r\n",
    "a lowercase method": b"get / HTTP/1.1\r\n\r\n",
    "a method that is no token": b"GE[T / HTTP/1.1\r\n\r\n",
    "a method of two letters": b"GE / HTTP/1.1\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n\r\n",
    "a tab for a space": b"GET\t/ HTTP/1.1\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "a space after the version": b"GET / HTTP/1.1 \r\n\r\n",
    "a target outside ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
    "a target that is a host": b"GET x:80 HTTP/1.1\r\n\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n\r\n",
    "a version of two digits": b"GET / HTTP/1.10\r\n\r\n",
    "a lowercase protocol": b"GET / http/1.1\r\n\r\n",
    "two empty lines first": b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "too many fields": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MOST_FIELDS + 1) + b"\r\n",
    "a field too long": b"GET / HTTP/1.1\r\nA: " + b"a" * LONGEST_FIELD + b"\r\n\r\n",
    "a target too long": b"GET /" + b"a" * LONGEST_FIELD + b" HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_ambiguous_request_is_refused(one_worker: Service, case: str) -> None:
    head, _, _ = REFUSED[case].partition(b"\r\n\r\n")
    assert read_common(head + b"\r\n\r\n") is None
    answer = exchange(one_worker, REFUSED[case] + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n")
    assert answer.endswith(b'"code": "invalid_request"}')


BAD_CHUNKS = {
    "a size that is no number": b"zz\r\na\r\n0\r\n\r\n",
    "a size with 0x": b"0x1\r\na\r\n0\r\n\r\n",
    "a size with a sign": b"+1\r\na\r\n0\r\n\r\n",
    "a size with a space": b" 1\r\na\r\n0\r\n\r\n",
    "a size with an underscore": b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
    "no size": b"\r\na\r\n0\r\n\r\n",
    "a size that is too small": b"1\r\nab\r\n0\r\n\r\n",
    "a size that ends with LF": b"1\na\r\n0\r\n\r\n",
    "a chunk that ends with LF": b"1\r\na\n0\r\n\r\n",
    "a CR in an extension": b"1;a\rb\r\na\r\n0\r\n\r\n",
    "a long extension": b"1;" + b"a" * 9000 + b"\r\na\r\n0\r\n\r\n",
    "a length among the trailers": b"0\r\nContent-Length: 1\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a long trailer": b"0\r\nA: " + b"a" * 9000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_invalid_chunks_close_the_connection(one_worker: Service, case: str) -> None:
    head = b"POST /send-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(one_worker, head + BAD_CHUNKS[case] + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 BAD REQUEST")
    assert answer.count(b"HTTP/1.1") == 1


METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"get", b"GE", b"M-SEARCH", b"A" * 21])
TARGETS = st.sampled_from([
    b"/", b"/a", b"/a%2Fb?c=d&e", b"//a/b", b"/a#b", b"/a?b#c", b"/?", b"/a?b?c", b"http://x/a", b"*", b"x:80", b"/a;b",
    b"/%", b"/%zz", b"/\\", b"/[", b"/a//b", b"/a:b@c", b"/a\tb", b"/\xe9", b"/|", b"/a=\x7f", b"/..//", b"",
])  # fmt: skip
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1"])
NAMES = st.sampled_from([
    b"Host", b"Content-Length", b"Content-Type", b"Transfer-Encoding", b"Connection", b"Expect", b"X-A", b"x-a", b"X_A",
    b"Script_Name", b"A b", b"A ", b" A", b"", b"\xdf", b"A!#$%&'*+-.^`|~", b"A\x00", b"Upgrade", b"Cookie", b"A\rB",
])  # fmt: skip
VALUES = st.sampled_from([
    b"", b"x", b"5", b"05", b"+5", b"5, 5", b"\xb2", b"1_0", b"9" * 12, b"chunked", b"gzip, chunked", b"identity",
    b"close", b"keep-alive", b"Keep-Alive, x", b"100-continue", b" x ", b"\tx\t", b"a\tb", b"a\x0bb", b"a\rb", b"a\nb",
    b"a\r\n b", b"\x00", b"\x7f", b"\xff", b"a\x85b",
])  # fmt: skip
COLONS = st.sampled_from([b": "] * 6 + [b":", b":\t", b" :", b"", b"::"])
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\r\n\r\n"])


@st.composite
def heads(draw: Any) -> bytes:
    line = b" ".join([draw(METHODS), draw(TARGETS), draw(VERSIONS)]) + draw(ENDS)
    fields = [b"".join(field) for field in draw(st.lists(st.tuples(NAMES, COLONS, VALUES, ENDS), max_size=5))]
    whole: bytes = line + b"".join(fields) + b"\r\n"
    return whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def differs(head: bytes, fast: Head) -> bool:
    """Return whether gunicorn's parser refuses the head that was read as `fast`, or reads a part of it differently."""
    request = parsed_by_gunicorn(head)
    if request is None:
        return True
    length = getattr(request.body.reader, "length", -1)
    stays = (
        not request.should_close() or not fast.keep_alive
    )  # the service may close where gunicorn does not, but not the other way round
    return fast.environ != gunicorn_environ(request) or fast.length != length or not stays


@settings(max_examples=2000, deadline=None)
@given(heads())
def test_generated_heads_are_read_as_gunicorn_reads_them(head: bytes) -> None:
    fast = read_common(head)
    assert fast is None or not differs(head, fast)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(USUAL.values())), st.integers(0, 200), st.binary(max_size=3), st.integers(0, 3))
def test_damaged_heads_are_read_as_gunicorn_reads_them(head: bytes, at: int, put: bytes, cut: int) -> None:
    spoiled = (head[:at] + put + head[at + cut :]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    fast = read_common(spoiled)
    assert fast is None or not differs(spoiled, fast)


@settings(max_examples=1000, deadline=None)
@given(heads())
def test_the_environ_is_the_one_that_gunicorn_makes(head: bytes) -> None:
    request = parsed_by_gunicorn(head)
    if request and "EXPECT" not in dict(request.headers):  # gunicorn itself responds to an expectation
        assert read_accepted(request).environ == gunicorn_environ(request)
