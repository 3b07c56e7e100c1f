"""What Infobip may answer, and what becomes of it: the right row of the error table, at most one SMS."""

import threading
import time
from collections.abc import Callable

import pytest
import redis
import requests

from tests import upstream as up
from tests.conftest import OPEN
from tests.parts import Service, free_port, refusal
from tests.upstream import PIN_ID, RIGHT, SENT, Act, Upstream, answer, error, raw

REFUSED, UNCLEAR = (502, "provider_error"), (502, "provider_error")
UNKNOWN, THROTTLED = (504, "provider_timeout"), (429, "too_many_requests")
UNAVAILABLE = (503, "service_unavailable")
NEW_SHAPE = {"errorCode": "E429", "description": "…", "action": "…", "violations": [], "resources": []}

# What Infobip does, what the caller gets, and whether it is certain that nothing was sent.
SENDS: dict[str, tuple[Act, tuple[int, str], bool]] = {
    "not sent": (answer({**SENT, "smsStatus": "MESSAGE_NOT_SENT"}), REFUSED, True),
    "400": (error(400, "BAD_REQUEST"), REFUSED, True),
    "401": (error(401, "UNAUTHORIZED"), REFUSED, True),
    "403": (error(403, "FORBIDDEN"), REFUSED, True),
    "404": (error(404, "NOT_FOUND"), REFUSED, True),
    "404 html": (answer(b"<html>", 404), REFUSED, True),
    "429": (error(429, "TOO_MANY_REQUESTS"), THROTTLED, True),
    "throttled by its word": (error(400, "TOO_MANY_REQUESTS"), THROTTLED, True),
    "throttled in the newer shape": (answer(NEW_SHAPE, 400), THROTTLED, True),
    "500": (error(500, "GENERAL_ERROR"), UNKNOWN, False),
    "502 html": (answer(b"<html>", 502), UNKNOWN, False),
    "503 empty": (answer(b"", 503), UNKNOWN, False),
    "reset": (up.reset, UNKNOWN, False),
    "hang up": (up.hang_up, UNKNOWN, False),
    "silence": (up.silence, UNKNOWN, False),
    "drip": (up.drip, UNKNOWN, False),
    "garbage": (raw(b"SMTP 1.0 hello\r\n\r\n"), UNKNOWN, False),
    "cut off": (raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"pinId":'), UNKNOWN, False),
    "cut off in a chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"), UNKNOWN, False),
    "truncated json": (answer(b'{"pinId":"AB'), UNCLEAR, False),
    "empty": (answer(b""), UNCLEAR, False),
    "204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), UNCLEAR, False),
    "html": (answer(b"<html>hello</html>"), UNCLEAR, False),
    "a list": (answer([SENT]), UNCLEAR, False),
    "no status": (answer({"pinId": PIN_ID}), UNCLEAR, False),
    "unknown status": (answer({**SENT, "smsStatus": "MESSAGE_PERHAPS"}), UNCLEAR, False),
    "a pinId that is a path": (answer({**SENT, "pinId": "../applications"}), UNCLEAR, False),
    "a pinId with a newline": (answer({**SENT, "pinId": "ABC\n"}), UNCLEAR, False),
    "a pinId that is too long": (answer({**SENT, "pinId": "A" * 65}), UNCLEAR, False),
    "no pinId": (answer({**SENT, "pinId": None}), UNCLEAR, False),
    "endless": (up.endless, UNCLEAR, False),
    "too large": (answer(b" " * 70_000 + b"{}"), UNCLEAR, False),
    "redirect": (answer(b"", 307, "Location: http://127.0.0.1:1/elsewhere\r\n"), UNCLEAR, False),
    "compressed": (answer(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"), UNCLEAR, False),
}


@pytest.mark.parametrize("what", SENDS)
def test_a_send_that_infobip_does_not_confirm(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str, what: str
) -> None:
    act, expected, nothing_sent = SENDS[what]
    upstream.script.append(act)
    started = time.monotonic()
    assert refusal(faulty.send(phone)) == expected
    assert time.monotonic() - started < 2
    assert [path for path, _, _ in upstream.requests] == ["/2fa/2/pin"]
    assert database.exists(f"otp:cooldown:{phone}") == (0 if nothing_sent else 1)
    assert not database.exists(f"otp:phoneNumber:{phone}")
    assert database.llen(f"{{otp:cooldown:{phone}}}:sent") == (0 if nothing_sent else 1)
    (day,) = [key for key in database.scan_iter("LIMITS:*total*")]
    assert database.get(day) == ("0" if nothing_sent else "1")
    database.delete(f"otp:cooldown:{phone}")
    assert faulty.send(phone).status_code == 200, "the next honest request works"


# What Infobip does on the first and only try (or on both), what the caller gets, and whether a guess is spent.
VERIFIES: dict[str, tuple[list[Act], tuple[int, str], bool]] = {
    "wrong": ([answer(up.WRONG)], (401, "invalid_otp"), True),
    "truthy": ([answer({**RIGHT, "verified": "true"})], UNCLEAR, True),
    "one": ([answer({**RIGHT, "verified": 1})], UNCLEAR, True),
    "null": ([answer({**RIGHT, "verified": None})], UNCLEAR, True),
    "missing": ([answer({"pinId": PIN_ID})], UNCLEAR, True),
    "verified with an error": ([answer({**RIGHT, "pinError": "WRONG_PIN"})], (401, "invalid_otp"), True),
    "somebody else's": ([answer({**RIGHT, "pinId": "F" * 32})], UNCLEAR, True),
    "unknown pin": ([error(404, "NOT_FOUND")], (401, "invalid_otp"), True),
    "unknown pin of v1": ([error(400, "BAD_REQUEST")], (401, "invalid_otp"), True),
    "html 404": ([answer(b"<html>", 404)], REFUSED, False),
    "401": ([error(401, "UNAUTHORIZED")], REFUSED, False),
    "429": ([error(429, "TOO_MANY_REQUESTS")], THROTTLED, False),
    "500 twice": ([error(500, "GENERAL_ERROR")] * 2, UNKNOWN, True),
    "500, then wrong": ([error(500, "GENERAL_ERROR"), answer(up.WRONG)], (401, "invalid_otp"), True),
    "silence": ([up.silence], UNKNOWN, True),
    "reset": ([up.reset], UNKNOWN, True),
    "204": ([raw(b"HTTP/1.1 204 No Content\r\n\r\n")], UNCLEAR, True),
}


@pytest.mark.parametrize("what", VERIFIES)
def test_a_verify_that_infobip_does_not_confirm(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str, what: str
) -> None:
    acts, expected, spent = VERIFIES[what]
    assert faulty.send(phone).status_code == 200
    upstream.script.extend(acts)
    assert refusal(faulty.verify(phone, "123456")) == expected
    assert len(upstream.requests) == 1 + len(acts)
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == ("1" if spent else "0")
    assert faulty.verify(phone, "123456").status_code == 200, "the next honest request works"


def test_a_verify_is_asked_again_after_a_5xx(faulty: Service, upstream: Upstream, phone: str) -> None:
    faulty.send(phone)
    upstream.script.append(error(503, "SERVICE_UNAVAILABLE"))
    assert faulty.verify(phone, "123456").status_code == 200
    assert [path for path, _, _ in upstream.requests] == ["/2fa/2/pin"] + [f"/2fa/2/pin/{PIN_ID}/verify"] * 2


@pytest.mark.parametrize("pin_error", [None, "NO_ERROR"])
def test_what_counts_as_right(faulty: Service, upstream: Upstream, phone: str, pin_error: str | None) -> None:
    faulty.send(phone)
    upstream.script.append(answer({**RIGHT, "pinError": pin_error}))
    assert faulty.verify(phone, "123456").status_code == 200


def test_what_infobip_is_asked(faulty: Service, upstream: Upstream, phone: str) -> None:
    faulty.send(phone)
    faulty.verify(phone, "123456")
    (send, headers, body), (verify, _, guess) = upstream.requests
    assert send == "/2fa/2/pin"
    assert verify == f"/2fa/2/pin/{PIN_ID}/verify"
    assert body == {"applicationId": "sandbox-application", "messageId": "sandbox-message", "to": phone}
    assert guess == {"pin": "123456"}
    assert headers["authorization"] == "App sandbox-api-key"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("said", "passed_on"), [("7", 7), ("0", 1), ("86400", 3600), ("", 20), ("soon", 20), ("-5", 20), ("٧", 20)]
)
def test_infobips_retry_after_is_passed_on(
    faulty: Service, upstream: Upstream, phone: str, said: str, passed_on: int
) -> None:
    header = f"Retry-After: {said}\r\n" if said else ""
    upstream.script.append(error(429, "TOO_MANY_REQUESTS", header))
    assert faulty.send(phone).headers["Retry-After"] == str(passed_on)


def test_infobip_out_of_reach_is_a_503_and_frees_the_phone(
    start: Callable[..., Service], database: redis.Redis, phone: str
) -> None:
    service = start(f"http://127.0.0.1:{free_port()}", SEND_OTP_LIMIT=OPEN, VERIFY_OTP_LIMIT=OPEN)
    for _ in range(7):
        refused = service.send(phone)
        assert refusal(refused) == UNAVAILABLE
        assert refused.headers["Retry-After"] == "1"
    assert not database.exists(f"otp:cooldown:{phone}")


def test_no_proxy_and_no_netrc_of_the_environment_is_believed(
    start: Callable[..., Service],
    database: redis.Redis,
    upstream: Upstream,
    phone: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    proxy = f"http://127.0.0.1:{free_port()}"
    service = start(upstream.url, HTTP_PROXY=proxy, http_proxy=proxy, ALL_PROXY=proxy, HOME=str(home))
    assert service.send(phone).status_code == 200
    assert upstream.requests[0][1]["authorization"] == "App sandbox-api-key"


def test_a_slow_infobip_holds_up_nobody_else(faulty: Service, upstream: Upstream, phone: str) -> None:
    upstream.script.append(up.silence)
    slow = threading.Thread(target=faulty.send, args=(phone,))
    slow.start()
    while not upstream.requests:
        time.sleep(0.01)
    assert requests.get(f"{faulty.url}/healthz", timeout=0.5).status_code == 200
    assert faulty.send("+14155552671").status_code == 200
    assert slow.is_alive()
    slow.join()
