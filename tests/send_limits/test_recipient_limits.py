"""The limits of a recipient: how many messages it gets, and that strangers cannot use them up for its owner."""

from collections.abc import Callable, Mapping

import pytest
import redis
import requests

from otp.recipients import Recipient
from otp.redis import keys
from otp.requester import Requester
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.redis_servers import in_redis
from tests.support.running import Sandbox, Service, refusal
from tests.support.upstream import Upstream, answer
from tests.web.test_resend import wait_over

Start = Callable[..., Service]
To = Mapping[str, str]  # the member of a request's body that names the recipient
TOO_MANY = (429, "too_many_requests")
HOUR, DAY = 3600, 86400
OWNER, STRANGER, ANOTHER = "198.51.100.7", "192.0.2.1", "203.0.113.9"
SHOP, BANK = "shop-key-0123456789", "bank-key-0123456789"
# The rate limits by address are open. The empty PHONE_SEND_LIMIT stands for the service's own limits of a recipient.
SETTINGS = {
    "PHONE_SEND_LIMIT": "",
    "TRUSTED_PROXIES": "1",
    "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID,
}


@pytest.fixture(params=["phoneNumber", "email"])
def to(request: pytest.FixtureRequest, phone: str, email: str) -> To:
    return {request.param: {"phoneNumber": phone, "email": email}[request.param]}


@pytest.fixture
def limited(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    return start(sandbox.url, **SETTINGS)


@pytest.fixture
def without_shares(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service without shares: one requester may use up the whole limit of a recipient."""
    return start(sandbox.url, **SETTINGS, PHONE_SEND_SHARE="1")


@pytest.fixture
def keyed(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with two client apps that have keys, and may name their end users."""
    return start(sandbox.url, **SETTINGS, API_KEYS=f"shop:{SHOP}, bank:{BANK}")


def post(service: Service, to: To, address: str, path: str = "/send-otp", **more: str) -> requests.Response:
    return service.post(path, to, headers={"X-Forwarded-For": address, **more})


def statuses(database: redis.Redis, service: Service, to: To, *addresses: str) -> list[int]:
    """Return the statuses of sends from these addresses, each after the cooldown of the previous one."""
    answers = []
    for address in addresses:
        let_time_pass(database, 0)
        answers.append(post(service, to, address).status_code)
    return answers


def let_time_pass(database: redis.Redis, seconds: float) -> None:
    """Move the recorded sends back by this many seconds, and end the cooldown."""
    for key in database.scan_iter("*}:sent*"):
        for place, at in enumerate(database.lrange(key, 0, -1)):
            database.lset(key, place, str(int(at) - int(seconds * 1_000_000)))
    wait_over(database)


def trust(database: redis.Redis, to: To, requester: Requester) -> None:
    """Store that this requester verified the recipient just now."""
    (recipient,) = map(Recipient.at, to.values())
    database.set(in_redis(keys.trusted(recipient)), requester.fingerprint, ex=DAY)


def wait(response: requests.Response) -> int:
    assert refusal(response) == TOO_MANY
    return int(response.headers["Retry-After"])


def reason(service: Service, response: requests.Response) -> str:
    service.log_with(response)
    (line,) = service.lines(event="request", request_id=response.headers["X-Request-ID"])
    return str(line["reason"])


def test_five_requests_from_one_address_lock_nobody_out(
    limited: Service, database: redis.Redis, sandbox: Sandbox, to: To
) -> None:
    assert statuses(database, limited, to, *[STRANGER] * 5) == [200, 200, 429, 429, 429]
    assert statuses(database, limited, to, OWNER) == [200]
    assert len(sandbox.messages) == 3


def test_an_address_may_use_only_its_share_of_every_window(limited: Service, database: redis.Redis, to: To) -> None:
    assert statuses(database, limited, to, STRANGER, STRANGER) == [200, 200]
    let_time_pass(database, HOUR)
    refused = post(limited, to, STRANGER)
    assert 23 * HOUR - 60 < wait(refused) <= 23 * HOUR, "the window of a day is the longer one to wait for"
    assert reason(limited, refused) == "phone_share"
    let_time_pass(database, 23 * HOUR)
    assert statuses(database, limited, to, STRANGER) == [200]


def test_every_window_is_exact(without_shares: Service, database: redis.Redis, sandbox: Sandbox, to: To) -> None:
    assert statuses(database, without_shares, to, *[OWNER] * 3) == [200, 200, 200]
    let_time_pass(database, 0)
    assert HOUR - 60 < wait(post(without_shares, to, OWNER)) <= HOUR
    let_time_pass(database, HOUR - 60)
    assert 0 < wait(post(without_shares, to, OWNER)) <= 60
    let_time_pass(database, 60)
    assert statuses(database, without_shares, to, OWNER, OWNER) == [200, 200]
    let_time_pass(database, 0)
    refused = post(without_shares, to, OWNER)
    assert 23 * HOUR - 60 < wait(refused) <= 23 * HOUR
    assert reason(without_shares, refused) == "phone_limit"
    let_time_pass(database, 23 * HOUR)
    assert statuses(database, without_shares, to, *[OWNER] * 4) == [200, 200, 200, 429], (
        "the first three of yesterday are over"
    )


def test_retry_after_is_the_longest_wait_of_the_full_windows(
    start: Start, database: redis.Redis, sandbox: Sandbox, to: To
) -> None:
    both = {**SETTINGS, "PHONE_SEND_LIMIT": "2 per day, 2 per hour", "PHONE_SEND_SHARE": "1"}
    service = start(sandbox.url, **both)
    assert statuses(database, service, to, OWNER, OWNER) == [200, 200]
    let_time_pass(database, 0)
    assert wait(post(service, to, OWNER)) > DAY - 60


def test_a_send_in_the_cooldown_uses_nothing_up(limited: Service, database: redis.Redis, to: To) -> None:
    assert statuses(database, limited, to, STRANGER) == [200]
    for address in (STRANGER, STRANGER, ANOTHER):
        refused = post(limited, to, address)
        assert (wait(refused) <= 30, reason(limited, refused)) == (True, "cooldown")
    assert statuses(database, limited, to, STRANGER, ANOTHER, OWNER) == [200, 200, 429]


def test_the_subnets_of_one_network_have_one_share(limited: Service, database: redis.Redis, to: To) -> None:
    """An IPv6 /48 has 65,536 of the /64 subnets by which other limits count."""
    seen = statuses(database, limited, to, "2001:db8:1:1::7", "2001:db8:1:2::7", "2001:db8:1:3::7", "2001:db8:2:1::7")
    assert seen == [200, 200, 429, 200]


def test_a_resend_counts_towards_the_share(limited: Service, database: redis.Redis, sandbox: Sandbox, to: To) -> None:
    assert statuses(database, limited, to, STRANGER) == [200]
    for expected in (200, 429):
        let_time_pass(database, 0)
        assert post(limited, to, STRANGER, "/resend-otp").status_code == expected
    assert statuses(database, limited, to, STRANGER, OWNER) == [429, 200]
    assert len(sandbox.messages) == 3


def test_a_failed_send_does_not_count_towards_the_share(
    start: Start, database: redis.Redis, upstream: Upstream, phone: str
) -> None:
    service = start(upstream.url, **SETTINGS)
    upstream.script += [answer({"pinId": "A" * 32, "to": "1", "smsStatus": "MESSAGE_NOT_SENT"})] * 3
    to = {"phoneNumber": phone}
    assert [post(service, to, STRANGER).status_code for _ in range(3)] == [502, 502, 502]
    assert database.keys("*}:sent*") == []
    assert statuses(database, service, to, *[STRANGER] * 3) == [200, 200, 429]


def test_an_end_user_is_one_requester_in_each_client(keyed: Service, database: redis.Redis, to: To) -> None:
    def sent(key: str, address: str) -> int:
        let_time_pass(database, 0)
        named = {"Authorization": f"Bearer {key}", "X-End-User-IP": address}
        return post(keyed, to, ANOTHER, **named).status_code

    assert [sent(SHOP, STRANGER) for _ in range(3)] == [200, 200, 429]
    assert [sent(BANK, STRANGER), sent(SHOP, OWNER)] == [200, 429], "three an hour, of all"
    let_time_pass(database, HOUR)
    assert [sent(SHOP, STRANGER), sent(BANK, STRANGER), sent(BANK, STRANGER)] == [429, 200, 429]
    assert sent(SHOP, OWNER) == 200


def test_a_client_that_names_no_end_user_is_one_requester(keyed: Service, database: redis.Redis, to: To) -> None:
    def sent(key: str) -> int:
        let_time_pass(database, 0)
        return post(keyed, to, ANOTHER, Authorization=f"Bearer {key}").status_code

    assert [sent(SHOP) for _ in range(3)] == [200, 200, 429]
    assert sent(BANK) == 200


def test_a_requester_that_verified_may_use_the_whole_limit(limited: Service, database: redis.Redis, to: To) -> None:
    trust(database, to, Requester(OWNER))
    assert statuses(database, limited, to, *[OWNER] * 4) == [200, 200, 200, 429]
    let_time_pass(database, HOUR)
    assert statuses(database, limited, to, STRANGER, OWNER, OWNER) == [200, 200, 429]


@pytest.mark.parametrize("is_trusted", [True, False])
def test_strangers_lock_a_verified_recipient_out_for_an_hour_at_most(
    limited: Service, database: redis.Redis, to: To, is_trusted: bool
) -> None:
    if is_trusted:
        trust(database, to, Requester("where it was verified"))
    assert statuses(database, limited, to, STRANGER, STRANGER, ANOTHER) == [200, 200, 200]
    let_time_pass(database, HOUR)
    assert statuses(database, limited, to, ANOTHER, "192.0.2.3") == [200, 200]
    let_time_pass(database, 0)
    refused = post(limited, to, OWNER)
    assert reason(limited, refused) == "phone_limit"
    if not is_trusted:
        assert 23 * HOUR - 60 < wait(refused) <= 23 * HOUR
        return
    assert HOUR - 60 < wait(refused) <= HOUR
    let_time_pass(database, HOUR - 60)
    assert 0 < wait(post(limited, to, OWNER)) <= 60
    let_time_pass(database, 60)
    assert statuses(database, limited, to, OWNER, OWNER) == [200, 429]
    assert HOUR - 60 < wait(post(limited, to, OWNER)) <= HOUR, "one more an hour"


def test_a_share_of_a_verified_recipient_is_used_up_for_an_hour_at_most(
    limited: Service, database: redis.Redis, to: To
) -> None:
    """The owner may be travelling, at an address from which the recipient was not verified yet."""
    trust(database, to, Requester(OWNER))
    assert statuses(database, limited, to, ANOTHER, ANOTHER) == [200, 200]
    let_time_pass(database, 0)
    refused = post(limited, to, ANOTHER)
    assert (HOUR - 60 < wait(refused) <= HOUR, reason(limited, refused)) == (True, "phone_share")
    let_time_pass(database, HOUR)
    assert statuses(database, limited, to, ANOTHER, ANOTHER) == [200, 429]


def test_strangers_do_not_delay_the_requester_that_verified(limited: Service, database: redis.Redis, to: To) -> None:
    """Otherwise a client that sends every hour would always come first."""
    trust(database, to, Requester(OWNER))
    assert statuses(database, limited, to, STRANGER, STRANGER, ANOTHER) == [200, 200, 200]
    assert statuses(database, limited, to, "192.0.2.3", OWNER, OWNER) == [429, 200, 429]
    let_time_pass(database, HOUR)
    assert statuses(database, limited, to, "192.0.2.3", OWNER) == [200, 200]
    assert statuses(database, limited, to, "192.0.2.4", OWNER) == [429, 429]


def test_a_used_up_share_and_a_full_limit_have_different_reasons(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url, **{**SETTINGS, "PHONE_SEND_LIMIT": "2 per day", "PHONE_SEND_SHARE": "0.1"})
    to = {"phoneNumber": phone}
    assert statuses(database, service, to, STRANGER) == [200]
    let_time_pass(database, 0)
    assert reason(service, post(service, to, STRANGER)) == "phone_share", "a tenth of two, rounded up"
    assert statuses(database, service, to, OWNER) == [200]
    let_time_pass(database, 0)
    assert reason(service, post(service, to, STRANGER)) == "phone_limit", "both are full"
