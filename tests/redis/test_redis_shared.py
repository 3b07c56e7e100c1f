"""A Redis that others use too: a user with the rights of docs/deploy.md, and one prefix for all keys."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from cli.guard import guard
from cli.infobip import infobip
from cli.phone import phone as of_phones
from sandbox.free_port import free_port
from sandbox.server import EMAIL_MESSAGE_ID
from tests.faults.invariants import is_ready
from tests.support.command import CommandLine
from tests.support.pages import PAGES
from tests.support.receiver import until
from tests.support.redis_servers import Servers, node
from tests.support.running import ACCOUNT, Sandbox, Service, refusal
from tests.support.signing import SETTINGS as SIGNING

KEY, SECRET = "shop-key-0123456789", "reports-secret-0123456789"
SHOP = {"Authorization": f"Bearer {KEY}"}
TOO_MANY, INVALID = (429, "too_many_requests"), (401, "invalid_otp")
EVERYTHING = {
    **SIGNING,
    "API_KEYS": f"shop:{KEY}",
    "CLIENT_LIMITS": "shop: send=1000 per minute; verify=1000 per minute; quota=1000 per day",
    "SEND_OTP_LIMIT": "1000 per minute",
    "VERIFY_OTP_LIMIT": "1000 per minute",
    "PHONE_SEND_LIMIT": "3 per hour, 5 per day",
    "SMS_PRICES": '{"currency": "EUR", "default": 0.05}',
    "DAILY_BUDGET": "100",
    "MONTHLY_BUDGET": "1000",
    "FRAUD_GUARD": "block",
    "SEND_AGAIN": "same",
    "TRACK_DELIVERY": "true",
    "DELIVERY_REPORTS_SECRET": SECRET,
    "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID,
    "WEB_CONCURRENCY": "1",
}
Start = Callable[..., Service]


def rules(prefix: str) -> list[str]:
    """The ACL of docs/deploy.md, for keys that begin with `prefix`."""
    (line,) = re.findall(r"(?m)^ACL SETUSER otp .*$", PAGES["docs/deploy.md"])
    return str(line).replace("otp:", prefix).replace(">password", ">hunter2").split()


@contextmanager
def restricted(servers: Servers, ports: list[int], prefix: str = "otp:") -> Iterator[None]:
    """Nobody but the user of docs/deploy.md has a right to anything; and was denied nothing, says Redis in the end."""
    for port in ports:
        node(port).execute_command(*rules(prefix))
        node(port).execute_command("ACL", "SETUSER", "admin", "reset", "on", "nopass", "~*", "&*", "+@all")
        node(port).execute_command("ACL", "SETUSER", "default", "off")
    yield
    for port in ports:
        with admin(port) as asked:
            assert asked.execute_command("ACL", "LOG") == []


def admin(port: int) -> redis.Redis:
    return redis.Redis(port=port, decode_responses=True, username="admin", password="any")


def names(ports: list[int]) -> list[str]:
    """The keys of all servers."""
    found: list[str] = []
    for port in ports:
        with admin(port) as asked:
            for database in asked.info("keyspace"):
                asked.select(int(database.removeprefix("db")))
                found += asked.scan_iter()
                assert [key for key in asked.scan_iter() if asked.ttl(key) == -1] == []
    return found


def everything_is_used(service: Service, sandbox: Sandbox, phone: str) -> None:
    """Each feature that keeps something in Redis."""
    sandbox.reports_url = f"{service.url}/infobip/delivery-reports/{SECRET}"
    sandbox.reset()
    assert is_ready(service)
    again = {**SHOP, "Idempotency-Key": f"key-of-{phone}"}
    sent = service.send(phone, headers=again)
    assert sent.status_code == 200
    assert service.send(phone, headers=again).content == sent.content
    assert refusal(service.send(phone, headers=SHOP)) == TOO_MANY
    verification = sent.json()["verificationId"]
    until(lambda: service.get(f"/verifications/{verification}", **SHOP).json()["status"] == "delivered")
    assert refusal(service.verify(phone, "000000", headers=SHOP)) == INVALID
    proof = service.verify(phone, sandbox.pin(phone), headers=SHOP).json()["proof"]
    assert [service.post("/proofs/redeem", {"proof": proof}, headers=SHOP).status_code for _ in "12"] == [200, 409]
    assert service.post("/send-otp", {"email": f"jo{phone[1:]}@example.com"}, headers=SHOP).status_code == 200
    assert refusal(service.verify(phone, "000000", headers={"Authorization": "Bearer no-key-of-ours"}))[0] == 401
    for country in ("+33612345678", "+447400123456", "+14155552671", "+385911234567", "+4366412345678"):
        service.send(country, headers=SHOP)


def everything_is_looked_at(directory: Path, sandbox: Sandbox, **settings: str) -> str:
    """`flask infobip check`, `flask phone`, `flask guard` and its lift; what the guard says."""
    command = CommandLine(directory, INFOBIP_BASE_URL=sandbox.url, **{**ACCOUNT, **settings})
    command.group = infobip
    said = command.run("check")[1]
    assert "ok       Redis                It answers." in said
    assert "Redis settings" not in said
    command.group = of_phones
    assert [command.run(name, "+447400123456")[0] for name in ("show", "unlock", "unlock", "forget")] == [0, 0, 1, 0]
    command.group = guard
    for arguments in ("block phone +447400123456", "trust prefix +4420", "lift phone +447400123456"):
        assert command.run(*arguments.split())[0] == 0
    assert command.run("lift", "country", "FR")[0] == 0  # what is sent to DE is verified
    status, said = command.run()
    assert status == 0
    return said


@pytest.mark.parametrize("prefix", ["otp:", "team-1/shop_2."])
def test_no_more_rights_than_the_readme_gives(
    servers: Servers, start: Start, sandbox: Sandbox, tmp_path: Path, phone: str, prefix: str
) -> None:
    port = servers.start(free_port())
    settings = {
        **EVERYTHING,
        "KEY_PREFIX": prefix,
        "REDIS_URL": f"redis://otp:hunter2@127.0.0.1:{port}/1?client_name=otp",
    }
    with restricted(servers, [port], prefix):
        everything_is_used(start(sandbox.url, **settings), sandbox, phone)
        everything_is_looked_at(tmp_path, sandbox, **settings)
    assert {key.removeprefix("{").startswith(prefix) for key in names([port])} == {True}


def test_nor_in_a_cluster(servers: Servers, start: Start, sandbox: Sandbox, tmp_path: Path, phone: str) -> None:
    ports = servers.cluster(3)
    url = "redis+cluster://otp:hunter2@" + ",".join(f"127.0.0.1:{port}" for port in ports) + "?client_name=otp"
    settings = {**EVERYTHING, "KEY_PREFIX": "shop:", "REDIS_URL": url}
    with restricted(servers, ports, "shop:"):
        everything_is_used(start(sandbox.url, **settings), sandbox, phone)
        everything_is_looked_at(tmp_path, sandbox, **settings)
    assert {key.removeprefix("{").startswith("shop:") for key in names(ports)} == {True}


@pytest.mark.parametrize(
    ("taken", "lacks"),
    [
        (["-hset", "-lpop"], "+hset +lpop"),
        (["-@list"], "+lindex +llen +lpop +lpos +lpush +lrange +lrem +ltrim +rpush"),
        (["-eval"], "+eval"),
        (["-evalsha"], "+evalsha"),
        (["resetkeys", "~otp:*"], "~{otp:*"),
        (["resetkeys", "~{otp:*"], "~otp:*"),
        (["resetkeys", "~another:*", "-scan"], "~otp:* ~{otp:*"),
    ],
)
def test_what_a_user_lacks_is_said(
    servers: Servers, sandbox: Sandbox, tmp_path: Path, taken: list[str], lacks: str
) -> None:
    port = servers.start(free_port())
    node(port).execute_command(*rules("otp:"), *taken)
    url = f"redis://otp:hunter2@127.0.0.1:{port}/0"
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=url, **ACCOUNT)
    status, said = command.run("check")
    assert status == 2
    (line,) = [line for line in said.splitlines() if "Redis" in line]
    assert line.startswith("error    Redis permissions    The user of REDIS_URL lacks permissions.")
    assert f"allow it {lacks};" in line


def test_flask_guard_says_that_it_may_not_look(servers: Servers, sandbox: Sandbox, tmp_path: Path) -> None:
    port = servers.start(free_port())
    node(port).execute_command(*rules("otp:"), "-scan")
    url = f"redis://otp:hunter2@127.0.0.1:{port}/0"
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=url, **ACCOUNT)
    command.group = guard
    status, said = command.run()
    assert (status, said) == (
        1,
        "Redis failed. It answers NOPERM: the user of REDIS_URL lacks permissions. "
        "Remedy: flask infobip check names them.\n",
    )


@pytest.fixture(params=["redis", "redis+cluster"])
def shared(request: pytest.FixtureRequest, servers: Servers) -> str:
    """The URL of a Redis that several services use."""
    ports = servers.cluster(2) if request.param == "redis+cluster" else [servers.start(free_port())]
    return f"{request.param}://" + ",".join(f"127.0.0.1:{port}" for port in ports)


def test_two_services_in_one_redis_do_not_see_each_other(
    shared: str, start: Start, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    """What one of them has sent, counted, locked and kept is invisible to the other, though all else is the same."""
    settings = {
        **EVERYTHING,
        "REDIS_URL": shared,
        "CLIENT_LIMITS": "shop: quota=4 per day",
        "PHONE_FAILURE_LIMIT": "1 per day",
        "TOTAL_SEND_LIMIT": "4 per day",
        "DAILY_BUDGET": "0.2",
        "SEND_OTP_LIMIT": "30 per hour",
    }
    one, other = (start(sandbox.url, KEY_PREFIX=prefix, **settings) for prefix in ("one:", "one:two:"))
    again = {**SHOP, "Idempotency-Key": f"key-of-{phone}"}
    for service in (one, other):
        sent = service.send(phone, headers=again)
        assert sent.status_code == 200
        assert "Idempotent-Replayed" not in sent.headers
        assert refusal(service.send(phone, headers=SHOP)) == TOO_MANY, "its own cooldown"
        assert sent.headers["X-RateLimit-Remaining"] == "29"
        status = service.get(f"/verifications/{sent.json()['verificationId']}", **SHOP).json()["status"]
        assert status in ("pending", "delivered")
    pin_of_one, _ = sandbox.pins(phone)
    assert other.get(f"/verifications/{sent.json()['verificationId']}", **SHOP).status_code == 200
    assert one.get(f"/verifications/{sent.json()['verificationId']}", **SHOP).status_code == 404
    proof = one.verify(phone, pin_of_one, headers=SHOP).json()["proof"]
    assert refusal(other.verify(phone, pin_of_one, headers=SHOP)) == INVALID, "and the only guess that may fail"
    for service in (one, other):
        assert service.post("/proofs/redeem", {"proof": proof}, headers=SHOP).status_code == 200
    attackers = ["+4915112340001", "+4915112340002", "+4915112340003"]
    assert [one.send(number, headers=SHOP).status_code for number in [*attackers, phone]] == [200, 200, 200, 429]
    assert one.send("+4915112340004", headers=SHOP).status_code == 429, (
        "its quota, its total and its budget are used up"
    )
    assert other.send("+4915112340004", headers=SHOP).status_code == 200


def test_flask_guard_shows_and_lifts_only_its_own(shared: str, start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    numbers = [f"+49151123400{n:02}" for n in range(13)]
    settings = {**EVERYTHING, "REDIS_URL": shared}
    for prefix in ("one:", "two:"):
        service = start(sandbox.url, KEY_PREFIX=prefix, **settings)
        assert {service.send(number, headers=SHOP).status_code for number in numbers} == {200, 429}

    def said(prefix: str, *arguments: str) -> str:
        command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, **{**ACCOUNT, **settings, "KEY_PREFIX": prefix})
        command.group = guard
        return command.run(*arguments)[1]

    assert ["prefix   +491511234" in said(prefix) for prefix in ("one:", "two:", "otp:")] == [True, True, False]
    said("one:", "lift", "prefix", "+491511234")
    assert ["prefix   +491511234" in said(prefix) for prefix in ("one:", "two:")] == [False, True]
