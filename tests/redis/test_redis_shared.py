"""Tests a Redis that others use, too: a user with the permissions of docs/deploy.md, and one prefix for all keys."""

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
    """Leave the service only the user of docs/deploy.md, and check in the end that Redis has denied it nothing."""
    for port in ports:
        node(port).execute_command(*rules(prefix))
        node(port).execute_command("ACL", "SETUSER", "admin", "reset", "on", "nopass", "~*", "&*", "+@all")
        node(port).execute_command("ACL", "SETUSER", "default", "off")
    yield
    for port in ports:
        with admin(port) as client:
            assert client.execute_command("ACL", "LOG") == []


def admin(port: int) -> redis.Redis:
    return redis.Redis(port=port, decode_responses=True, username="admin", password="any")


def names(ports: list[int]) -> list[str]:
    """Return the keys of all servers. Each must have a time to live."""
    found: list[str] = []
    for port in ports:
        with admin(port) as client:
            for database in client.info("keyspace"):
                client.select(int(database.removeprefix("db")))
                found += client.scan_iter()
                assert [key for key in client.scan_iter() if client.ttl(key) == -1] == []
    return found


def use_everything(service: Service, sandbox: Sandbox, phone: str) -> None:
    """Use each feature that keeps something in Redis."""
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


def run_every_command(directory: Path, sandbox: Sandbox, **settings: str) -> str:
    """Run `flask infobip check`, `flask phone`, and `flask guard` with its `lift`. Return the output of the last."""
    command = CommandLine(directory, INFOBIP_BASE_URL=sandbox.url, **{**ACCOUNT, **settings})
    command.group = infobip
    output = command.run("check")[1]
    assert "ok       Redis                It answers." in output
    assert "Redis settings" not in output
    command.group = of_phones
    assert [command.run(name, "+447400123456")[0] for name in ("show", "unlock", "unlock", "forget")] == [0, 0, 1, 0]
    command.group = guard
    for arguments in ("block phone +447400123456", "trust prefix +4420", "lift phone +447400123456"):
        assert command.run(*arguments.split())[0] == 0
    assert command.run("lift", "country", "FR")[0] == 0  # not DE: the sends to it were verified
    status, output = command.run()
    assert status == 0
    return output


@pytest.mark.parametrize("prefix", ["otp:", "team-1/shop_2."])
def test_the_documented_permissions_are_enough(
    servers: Servers, start: Start, sandbox: Sandbox, tmp_path: Path, phone: str, prefix: str
) -> None:
    port = servers.start(free_port())
    settings = {
        **EVERYTHING,
        "KEY_PREFIX": prefix,
        "REDIS_URL": f"redis://otp:hunter2@127.0.0.1:{port}/1?client_name=otp",
    }
    with restricted(servers, [port], prefix):
        use_everything(start(sandbox.url, **settings), sandbox, phone)
        run_every_command(tmp_path, sandbox, **settings)
    assert {key.removeprefix("{").startswith(prefix) for key in names([port])} == {True}


def test_the_documented_permissions_are_enough_on_a_cluster(
    servers: Servers, start: Start, sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    ports = servers.cluster(3)
    url = "redis+cluster://otp:hunter2@" + ",".join(f"127.0.0.1:{port}" for port in ports) + "?client_name=otp"
    settings = {**EVERYTHING, "KEY_PREFIX": "shop:", "REDIS_URL": url}
    with restricted(servers, ports, "shop:"):
        use_everything(start(sandbox.url, **settings), sandbox, phone)
        run_every_command(tmp_path, sandbox, **settings)
    assert {key.removeprefix("{").startswith("shop:") for key in names(ports)} == {True}


@pytest.mark.parametrize(
    ("removed", "lacks"),
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
def test_check_names_the_missing_permissions(
    servers: Servers, sandbox: Sandbox, tmp_path: Path, removed: list[str], lacks: str
) -> None:
    port = servers.start(free_port())
    node(port).execute_command(*rules("otp:"), *removed)
    url = f"redis://otp:hunter2@127.0.0.1:{port}/0"
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=url, **ACCOUNT)
    status, output = command.run("check")
    assert status == 2
    (line,) = [line for line in output.splitlines() if "Redis" in line]
    assert line.startswith("error    Redis permissions    The user of REDIS_URL lacks permissions.")
    assert f"allow it {lacks};" in line


def test_flask_guard_reports_that_a_permission_is_missing(servers: Servers, sandbox: Sandbox, tmp_path: Path) -> None:
    port = servers.start(free_port())
    node(port).execute_command(*rules("otp:"), "-scan")
    url = f"redis://otp:hunter2@127.0.0.1:{port}/0"
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=url, **ACCOUNT)
    command.group = guard
    status, output = command.run()
    assert (status, output) == (
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
    """They differ only in KEY_PREFIX. Neither sees what the other one has sent, counted, locked and kept."""
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


def test_flask_guard_shows_and_lifts_only_the_blocks_of_its_prefix(
    shared: str, start: Start, sandbox: Sandbox, tmp_path: Path
) -> None:
    numbers = [f"+49151123400{n:02}" for n in range(13)]
    settings = {**EVERYTHING, "REDIS_URL": shared}
    for prefix in ("one:", "two:"):
        service = start(sandbox.url, KEY_PREFIX=prefix, **settings)
        assert {service.send(number, headers=SHOP).status_code for number in numbers} == {200, 429}

    def guard_output(prefix: str, *arguments: str) -> str:
        command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, **{**ACCOUNT, **settings, "KEY_PREFIX": prefix})
        command.group = guard
        return command.run(*arguments)[1]

    assert ["prefix   +491511234" in guard_output(prefix) for prefix in ("one:", "two:", "otp:")] == [True, True, False]
    guard_output("one:", "lift", "prefix", "+491511234")
    assert ["prefix   +491511234" in guard_output(prefix) for prefix in ("one:", "two:")] == [False, True]
