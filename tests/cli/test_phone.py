"""`flask phone`: what an operator sees of one number, changes and deletes. It never shows a PIN or the id of one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from cli.phone import phone as group
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.command import CommandLine
from tests.support.redis_servers import Servers, node
from tests.support.running import ACCOUNT, Sandbox, Service, other_pin, refusal

Start = Callable[..., Service]
SETTINGS = {
    "PHONE_SEND_LIMIT": "3 per hour, 5 per day",
    "PHONE_FAILURE_LIMIT": "2 per day",
    "TOTAL_SEND_LIMIT": "12 per day",
    "SMS_PRICES": '{"currency": "EUR", "default": 0.05}',
    "DAILY_BUDGET": "0.55",
    "FRAUD_GUARD": "block",
    "PHONE_SEND_SHARE": "1",
    "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID,
}


@pytest.fixture
def limited(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    return start(sandbox.url, **SETTINGS)


@pytest.fixture
def command(sandbox: Sandbox, redis_url: str, database: redis.Redis, tmp_path: Path) -> CommandLine:
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=redis_url, **{**ACCOUNT, **SETTINGS})
    command.group = group
    return command


def show(command: CommandLine, to: str, **environment: str) -> dict[str, Any]:
    status, output = command.run("show", to, "--json", **environment)
    assert (status, to in output) == (0, False)
    found: dict[str, Any] = json.loads(output)
    return found


def masked(phone: str) -> str:
    return f"+49***{phone[-2:]}"


def end_cooldown(database: redis.Redis, to: str) -> None:
    """End the cooldown of the recipient."""
    database.delete(f"{{otp:{to}}}:cooldown")


def test_nothing_is_known_of_a_new_number(command: CommandLine, phone: str) -> None:
    assert command.run("show", phone) == (
        0,
        f"recipient  {masked(phone)}\ncountry    DE\nrefused    no\ncooldown   0\n"
        "sends      limit 3 per hour, left 3, wait 0; limit 5 per day, left 5, wait 0\npins       no\n"
        "failures   limit 2 per day, left 2, wait 0\ntrusted    0\n",
    )


def test_the_command_shows_why_a_number_gets_no_code(
    limited: Service, command: CommandLine, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    """It shows the cooldown, limits, PINs and guesses, and the same wait as the service's response at that moment."""
    limited.send(phone)
    limited.verify(phone, other_pin(sandbox.pin(phone)))
    found = show(command, phone)
    assert found["refused"] == {"cooldown": found["cooldown"]}
    assert 0 < found["cooldown"] <= 30
    assert [count["left"] for count in found["sends"]] == [2, 4]
    assert found["failures"]["left"] == 1
    (pin,) = found["pins"]
    assert (pin["client"], pin["guessesLeft"], pin["messages"]) == ("", 4, 1)
    assert 500 < pin["expiresIn"] <= 600
    for _ in "12":
        end_cooldown(database, f"phoneNumber:{phone}")
        assert limited.send(phone).status_code == 200
    end_cooldown(database, f"phoneNumber:{phone}")
    refused = limited.send(phone)
    wait = show(command, phone)["refused"]["phone_limit"]
    assert 0 <= int(refused.headers["Retry-After"]) - wait < 30
    assert show(command, phone, PHONE_SEND_LIMIT="3 per day")["refused"]["phone_limit"] > 80_000
    database.set(f"{{otp:phoneNumber:{phone}}}:trusted", "-", ex=60)
    assert 3000 < show(command, phone, PHONE_SEND_LIMIT="3 per day")["refused"]["phone_limit"] <= 3600
    limited.verify(phone, other_pin(sandbox.pin(phone)))
    limited.verify(phone, other_pin(sandbox.pin(phone)))
    assert show(command, phone)["failures"]["wait"] > 80_000
    assert sandbox.pin(phone) not in command.run("show", phone)[1]


def test_a_verified_number_is_trusted(limited: Service, command: CommandLine, sandbox: Sandbox, phone: str) -> None:
    limited.send(phone)
    limited.verify(phone, sandbox.pin(phone))
    found = show(command, phone)
    assert (found["pins"], found["failures"]["left"], found["trusted"] > 29 * 86400) == ([], 2, True)


def test_refusals_by_the_guard_and_by_shared_limits_are_shown(
    limited: Service, command: CommandLine, database: redis.Redis, phone: str
) -> None:
    """Each refusal has the reason that the service logs, and the wait in the service's Retry-After."""
    for n in range(11):
        last = limited.send(f"+4915112340{n:03}")
    found = show(command, "+4915112340999")["refused"]
    assert refusal(last) == (429, "too_many_requests")
    assert 0 <= int(last.headers["Retry-After"]) - found.pop("guard_prefix") < 30
    assert found == {}
    assert show(command, "+4915112340999", FRAUD_GUARD="monitor")["refused"] == {}
    database.set("{otp:phoneNumber:+4915112340999}:trusted", "-", ex=60)
    assert show(command, "+4915112340999")["refused"] == {}, "it was verified lately"
    assert limited.send("+33612345678").status_code == 200
    budget = limited.send("+447400123456")
    assert refusal(budget) == (503, "budget_exhausted")
    found = show(command, phone)["refused"]
    assert 0 <= int(budget.headers["Retry-After"]) - found.pop("day_budget") < 30
    assert found == {}
    database.delete(*database.scan_iter("otp:spent:*"))
    assert limited.send("+34612345678").status_code == 200
    total = limited.send("+31612345678")
    found = show(command, phone)["refused"]
    assert abs(int(total.headers["Retry-After"]) - found.pop("total_limit")) < 30
    assert found == {}
    assert show(command, phone, ALLOWED_COUNTRIES="US")["refused"] == {"phone_number_not_allowed": None}


def test_mailboxes_are_shown_too(limited: Service, command: CommandLine, email: str) -> None:
    assert limited.post("/send-otp", {"email": email}).status_code == 200
    found = show(command, email.replace("@", "+tag@"))
    assert found["recipient"] == "***@example.com"
    assert (len(found["pins"]), list(found["refused"])) == (1, ["cooldown"])


def test_a_number_is_shown_whole_only_on_a_terminal(command: CommandLine, phone: str) -> None:
    terminal, end = os.openpty()
    arguments = [sys.executable, "-m", "flask", "phone", "forget", phone]
    subprocess.run(arguments, cwd=command.directory, env=command.environment, stdout=end, check=True)
    assert os.read(terminal, 1000).decode() == f"Nothing is kept of {phone}.\r\n"
    os.close(terminal)
    os.close(end)
    assert command.run("forget", phone)[1] == f"Nothing is kept of {masked(phone)}.\n"


@pytest.mark.parametrize(
    ("key", "planted"),
    [
        ("{otp:phoneNumber:+4915112345678}:sent", None),
        ("{otp:phoneNumber:+4915112345678}:failures", None),
        ("otp:phoneNumber:+4915112345678", {"pinId": "A", "order": "1", "ends": "soon"}),
        ("otp:phoneNumber:+4915112345678", {"pinId": "A", "order": "1", "ends": "9e15", "attempts": "nan"}),
        ("otp:guard:country:DE", {"until": "soon"}),
        ("otp:LIMITS:LIMITER/total/12/1/day", {"room": "soon"}),
    ],
)
def test_what_another_program_wrote_is_no_traceback(
    command: CommandLine, database: redis.Redis, key: str, planted: dict[str, str] | None
) -> None:
    if planted is None:
        database.lpush(key, *["soon"] * 5)
    else:
        database.hset(key, items=[part for field in planted.items() for part in field])
    database.expire(key, 60)
    status, output = command.run("show", "+4915112345678")
    assert (status, output.startswith("Redis failed.")) == (1, True)


def test_a_pin_without_an_order_is_shown(command: CommandLine, database: redis.Redis) -> None:
    """The service accepts it, too."""
    database.hset("otp:phoneNumber:+4915112345678", items=["pinId", "A", "ends", "9000000000000"])
    database.expire("otp:phoneNumber:+4915112345678", 60)
    assert len(show(command, "+4915112345678")["pins"]) == 1


def test_a_closed_output_is_no_error(command: CommandLine, phone: str) -> None:
    line = f"{sys.executable} -m flask phone show {phone} >&-"
    subprocess.run(["sh", "-c", line], cwd=command.directory, env=command.environment, check=True)


def test_the_command_finds_the_primary_through_a_sentinel(command: CommandLine, servers: Servers, phone: str) -> None:
    primary, _, sentinel = servers.replicated()
    node(primary).rpush(f"{{otp:phoneNumber:{phone}}}:sent:0123456789ab", 1)
    url = f"redis+sentinel://127.0.0.1:{sentinel}/main"
    assert command.run("unlock", phone, REDIS_URL=url)[0] == 0
    assert node(primary).dbsize() == 0


@pytest.mark.parametrize("typed", ["+49 151", "jo@", "02071838750"])
def test_an_invalid_recipient_is_a_usage_error(command: CommandLine, typed: str) -> None:
    status, output = command.run("show", typed)
    assert (status, "Invalid value for TO" in output) == (2, True)


def test_nothing_is_shown_without_redis(command: CommandLine, phone: str) -> None:
    assert command.run("show", phone, REDIS_URL="redis://127.0.0.1:1")[0] == 1


def test_a_locked_number_is_unlocked(
    limited: Service, command: CommandLine, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    """The number stays trusted, and its PINs get no more guesses."""
    limited.send(phone)
    limited.verify(phone, sandbox.pin(phone))
    for _ in "12":
        end_cooldown(database, f"phoneNumber:{phone}")
        assert limited.send(phone).status_code == 200
        limited.verify(phone, other_pin(sandbox.pin(phone)))
    assert list(show(command, phone)["refused"]) == ["cooldown", "phone_limit"]
    before = show(command, phone)
    output = f"{masked(phone)} is unlocked: cooldown, sends and failed guesses count from zero again.\n"
    assert command.run("unlock", phone) == (0, output)
    after = show(command, phone)
    assert (after["refused"], [count["left"] for count in after["sends"]]) == ({}, [3, 5])
    assert (before["failures"]["left"], after["failures"]["left"]) == (0, 2)
    assert [pin["guessesLeft"] for pin in after["pins"]] == [pin["guessesLeft"] for pin in before["pins"]] == [4, 4]
    assert after["trusted"] > 0
    assert limited.send(phone).status_code == 200
    assert command.run("unlock", phone, "--json")[1] == f'{{"recipient": "{masked(phone)}", "deleted": 3}}\n'
    status, output = command.run("unlock", phone)
    assert (status, output.startswith("There is nothing to unlock for +49***")) == (1, True)


def test_a_mailbox_with_special_characters_is_unlocked_alone(
    limited: Service, command: CommandLine, database: redis.Redis
) -> None:
    for email in ("jo*@example.com", "joe@example.com", "jo?n@example.com"):
        assert limited.post("/send-otp", {"email": email}).status_code == 200
    assert [command.run("unlock", email)[0] for email in ("jo*@example.com", "jo?n@example.com")] == [0, 0]
    assert {key for key in database.scan_iter() if key.endswith(":cooldown")} == {
        "{otp:email:joe@example.com}:cooldown"
    }
