"""Lists every fault of Infobip, for a send and for a verify, with its expected result."""

from dataclasses import dataclass
from typing import Any

from tests.faults import upstream_acts
from tests.support import upstream as up
from tests.support.upstream import PIN_ID, RIGHT, SENT, Act, answer, error, raw

Row = tuple[int, str]
REFUSED: Row = (502, "provider_error")
UNKNOWN: Row = (504, "provider_timeout")
THROTTLED: Row = (429, "too_many_requests")
NO: Row = (401, "invalid_otp")
NOWHERE = "http://127.0.0.1:9"
SEND_LIES: dict[str, Any] = {
    "truncated json": b'{"pinId":"AB',
    "a list": [SENT],
    "no status": {"pinId": PIN_ID},
    "no status, but verified": RIGHT,
    "unknown status": {**SENT, "smsStatus": "MESSAGE_PERHAPS"},
    "a status that is no string": {**SENT, "smsStatus": True},
    "a pinId that is a path": {**SENT, "pinId": "../applications"},
    "a pinId with a newline": {**SENT, "pinId": "ABC\n"},
    "a pinId that is too long": {**SENT, "pinId": "A" * 65},
    "a pinId that is a number": {**SENT, "pinId": 17},
    "no pinId": {**SENT, "pinId": None},
}
VERIFY_LIES: dict[str, Any] = {
    "truncated json": b'{"verified":tr',
    "truthy": {**RIGHT, "verified": "true"},
    "one": {**RIGHT, "verified": 1},
    "null": {**RIGHT, "verified": None},
    "missing": {"pinId": PIN_ID},
    "a list": [RIGHT],
    "true alone": True,
    "somebody else's": {**RIGHT, "pinId": "F" * 32},
}
# These have no pinId, so they fit every PIN.
NOES = {
    "wrong": answer({"verified": False, "pinError": "WRONG_PIN"}),
    "verified with an error": answer({"verified": True, "pinError": "WRONG_PIN"}),
}
GONE = {
    "no guess left": answer({"verified": False, "pinError": "NO_MORE_PIN_ATTEMPTS"}),
    "its time is over": answer({"verified": False, "pinError": "TTL_EXPIRED"}),
    "verified, but its time is over": answer({"verified": True, "pinError": "TTL_EXPIRED"}),
}
NEW_SHAPE = {"errorCode": "E429", "description": "…", "action": "…", "violations": [], "resources": []}


@dataclass(frozen=True)
class Fault:
    """An act, its status in the journal (0: no complete response), and the row of the error table that it leads to.

    With `given_back`, it is certain that nothing was sent or checked; with `gone`, Infobip no longer knows the PIN.
    """

    act: Act
    status: int
    row: Row
    given_back: bool = False
    gone: bool = False


def sends(elsewhere: str = NOWHERE) -> dict[str, Fault]:
    """Return the faults of a send by name; redirects lead to the URL `elsewhere`."""
    return {
        **_incomplete(),
        **_server_errors(),
        **_unclear(elsewhere),
        **_refusals((400, "BAD_REQUEST"), (401, "UNAUTHORIZED"), (403, "FORBIDDEN"), (404, "NOT_FOUND")),
        **{name: Fault(answer(body), 200, REFUSED) for name, body in SEND_LIES.items()},
        "not sent": Fault(answer({**SENT, "smsStatus": "MESSAGE_NOT_SENT"}), 200, REFUSED, given_back=True),
    }


def resends(elsewhere: str = NOWHERE) -> dict[str, Fault]:
    """Return the faults of a resend. If Infobip does not know a PIN, nobody can verify it."""
    gone = Fault(error(404, "NOT_FOUND"), 404, NO, given_back=True, gone=True)
    return {**sends(elsewhere), "404": gone}


def verifies(elsewhere: str = NOWHERE) -> dict[str, Fault]:
    """Return the faults of a verify. After a server error, the service repeats the request once."""
    return {
        **_incomplete(),
        **_server_errors(),
        **_unclear(elsewhere),
        **_refusals((401, "UNAUTHORIZED"), (403, "FORBIDDEN")),
        **{name: Fault(answer(body), 200, REFUSED) for name, body in VERIFY_LIES.items()},
        **{name: Fault(act, 200, NO) for name, act in NOES.items()},
        **{name: Fault(act, 200, NO, gone=True) for name, act in GONE.items()},
        "unknown pin": Fault(error(404, "NOT_FOUND"), 404, NO, gone=True),
        "unknown pin of v1": Fault(error(400, "BAD_REQUEST"), 400, NO, gone=True),
    }


def _incomplete() -> dict[str, Fault]:
    """Return the faults without a complete response to a request that was read."""
    cut = {
        "reset": up.reset,
        "hang up": up.hang_up,
        "silence": up.silence,
        "drip of the head": up.drip,
        "drip of the body": upstream_acts.drip_body,
        "garbage": raw(b"SMTP 1.0 hello\r\n\r\n"),
        "TLS instead of HTTP": raw(b"\x16\x03\x03\x00\x05hello"),
        "cut off": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"pinId":'),
        "cut off in a chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"),
        "a terabyte promised": upstream_acts.promised(10**12),
        "a length of nonsense": upstream_acts.promised("soon"),
        "10,000 headers": upstream_acts.many_headers,
        "a header of 10 MB": upstream_acts.huge_header,
        "endless 100 Continue": upstream_acts.endless_continue,
        "endless headers": upstream_acts.endless_headers,
        "an endless chunk line": upstream_acts.endless_chunk_line,
        "endless trailers": upstream_acts.endless_trailers,
    }
    return {name: Fault(act, 0, UNKNOWN) for name, act in cut.items()}


def _server_errors() -> dict[str, Fault]:
    """Return the faults with a 5xx: each with JSON, with HTML and without a body."""
    found = {}
    for status in (500, 501, 502, 503, 504):
        bodies = {
            "json": error(status, "GENERAL_ERROR"),
            "html": upstream_acts.html(status),
            "empty": answer(b"", status),
        }
        found.update({f"{status} {kind}": Fault(act, status, UNKNOWN) for kind, act in bodies.items()})
    return found


def _unclear(elsewhere: str) -> dict[str, Fault]:
    """Return the faults with a complete response that is neither a success nor a failure."""
    odd = {
        "empty": (200, answer(b"")),
        "html": (200, upstream_acts.html(200)),
        "204": (204, upstream_acts.status_alone(204)),
        "304": (304, upstream_acts.status_alone(304)),
        "compressed": (200, answer(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n")),
        "a gzip bomb of 200 MB": (200, upstream_acts.gzip_bomb),
        "a small gzip bomb": (200, upstream_acts.small_gzip_bomb),
        "endless": (200, up.endless),
        "endless in tiny chunks": (200, upstream_acts.tiny_chunks),
        "too large": (200, answer(b" " * 70_000 + b"{}")),
        **{
            f"redirect {status}": (status, upstream_acts.redirect(status, elsewhere))
            for status in (301, 302, 303, 307, 308)
        },
    }
    return {name: Fault(act, status, REFUSED) for name, (status, act) in odd.items()}


def _refusals(*known: Row) -> dict[str, Fault]:
    """Return the refusals of the request itself: nothing was sent, and no PIN was checked."""
    return {
        **{str(status): Fault(error(status, word), status, REFUSED, given_back=True) for status, word in known},
        "404 html": Fault(upstream_acts.html(404), 404, REFUSED, given_back=True),
        "429": Fault(error(429, "TOO_MANY_REQUESTS"), 429, THROTTLED, given_back=True),
        "429 html": Fault(upstream_acts.html(429), 429, THROTTLED, given_back=True),
        "throttled by its word": Fault(error(400, "TOO_MANY_REQUESTS"), 400, THROTTLED, given_back=True),
        "throttled in the newer shape": Fault(answer(NEW_SHAPE, 400), 400, THROTTLED, given_back=True),
    }
