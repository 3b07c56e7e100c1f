"""Rules that operators set to block or trust phones and prefixes. They apply from the next send until they end."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from cli.guard import guard
from cli.phone import phone as phone_group
from otp.send_limits.operator_rules import MOST_RULES
from tests.support.command import CommandLine
from tests.support.running import ACCOUNT, Sandbox, Service, refusal

BLOCKED, LIMITED = (400, "phone_number_not_allowed"), (429, "too_many_requests")
KEY = "otp:guard:operator"
Start = Callable[..., Service]


@pytest.fixture
def flask(tmp_path: Path, sandbox: Sandbox, redis_url: str) -> CommandLine:
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, **{**ACCOUNT, "REDIS_URL": redis_url})
    command.group = guard
    return command


def minutes(flask: CommandLine) -> dict[str, tuple[int, str]]:
    """Return for each rule that `flask guard` shows how many minutes it still holds, and why."""
    lines = [line.split(maxsplit=4) for line in flask.run()[1].splitlines() if " min  " in line]
    return {f"{kind} {which}": (int(left), why) for kind, which, left, _, why in lines}


def test_a_prefix_is_blocked_by_hand_and_lifted(
    service: Service, database: redis.Redis, sandbox: Sandbox, flask: CommandLine
) -> None:
    """The guard is off. An operator under attack expects that a block holds all the same."""
    expected = "prefix +99890 is blocked by hand: nothing is sent there, for 2h.\n"
    assert flask.run("block", "prefix", "+998 90", "--for", "2h") == (0, expected)
    answers = [service.send(phone) for phone in ("+998901234567", "+998901234568", "+998901234568")]
    assert {refusal(answer) for answer in answers} == {BLOCKED}
    assert "Retry-After" not in answers[0].headers
    assert '"reason": "blocked_by_operator"' in service.log_with(*answers)
    assert service.send("+998911234567").status_code == 200, "of another prefix"
    assert sandbox.pins("+998901234567") == []
    assert [key for key in database.scan_iter() if "+99890" in key] == [], "nothing stays reserved for it"
    assert minutes(flask) == {"prefix +99890": (120, "blocked by hand: nothing is sent there")}
    expected = "What was set by hand for prefix +99890 is lifted.\n"
    assert flask.run("lift", "prefix", "+99890") == (0, expected)
    assert flask.run("lift", "prefix", "+99890")[0] == 1
    assert service.send("+998901234567").status_code == 200


def test_a_blocked_phone_gets_no_message_and_can_still_verify(
    service: Service, database: redis.Redis, sandbox: Sandbox, flask: CommandLine, phone: str
) -> None:
    """The block may be in another spelling of the number. It holds for resends, too."""
    service.send(phone)
    masked = f"+49***{phone[-2:]}"
    expected = f"phone {masked} is blocked by hand: nothing is sent there, for 1d.\n"
    assert flask.run("block", "phone", f"+49 (0){phone[3:]}") == (0, expected)
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert refusal(service.post("/resend-otp", {"phoneNumber": phone})) == BLOCKED
    assert refusal(service.send(phone)) == BLOCKED
    assert 86_000 < database.ttl(KEY) <= 86_400
    assert list(minutes(flask)) == [f"phone {masked}"]
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
    flask.group = phone_group
    reasons = json.loads(flask.run("show", phone, "--json")[1])["refused"]
    assert list(reasons) == ["blocked_by_operator"]
    assert 86_000 < reasons["blocked_by_operator"] <= 86_400


def test_a_phone_or_prefix_trusted_by_hand_passes_only_the_guard(
    guarded: Service, database: redis.Redis, flask: CommandLine
) -> None:
    *others, one, two = [f"+4915112340{n:03}" for n in range(12)]
    for phone in others:
        assert guarded.send(phone).status_code == 200
    assert refusal(guarded.send(one)) == LIMITED
    reason = "trusted by hand: the guard does not refuse it"
    assert flask.run("trust", "phone", one)[0] == 0
    assert guarded.send(one).status_code == 200
    assert refusal(guarded.send(one)) == LIMITED, "its cooldown"
    assert refusal(guarded.send(two)) == LIMITED
    assert flask.run("trust", "prefix", "+491511", "--for", "30m")[0] == 0
    assert minutes(flask)["prefix +491511"] == (30, reason)
    assert guarded.send(two).status_code == 200
    flask.run("lift", "prefix", "+491511")
    assert refusal(guarded.send("+4915112340999")) == LIMITED


def test_a_phone_trusted_by_hand_passes_the_limit_of_countries_by_address(
    guarded: Service, database: redis.Redis, flask: CommandLine
) -> None:
    for phone in ("+4915112345678", "+33612345678", "+447400123456"):
        assert guarded.send(phone).status_code == 200
    assert refusal(guarded.send("+34612345678")) == LIMITED
    flask.run("trust", "phone", "+34612345678")
    assert guarded.send("+34612345678").status_code == 200


def test_the_most_specific_rule_decides(service: Service, database: redis.Redis, flask: CommandLine) -> None:
    for arguments in ("block prefix +998", "trust prefix +99890", "block prefix +998901", "trust phone +998901234567"):
        assert flask.run(*arguments.split())[0] == 0
    expected = {"+998901234567": 200, "+998901234568": 400, "+998909234567": 200, "+998911234567": 400}
    assert {phone: service.send(phone).status_code for phone in expected} == expected
    database.hset(KEY, mapping={"prefix +998901": f"block {int(time.time()) - 1}"})
    assert service.send("+998901234569").status_code == 200
    assert "prefix +998901" not in minutes(flask)
    assert flask.run("trust", "prefix", "+998", "--for", "1d")[0] == 0
    assert service.send("+998911234568").status_code == 200, "the last word counts"


def test_the_number_of_rules_is_bounded_and_ended_rules_make_room(database: redis.Redis, flask: CommandLine) -> None:
    ends, now = time.time() + 3600, int(time.time())
    database.hset(KEY, mapping={f"phone +4479{number:08}": f"block {ends:.0f}" for number in range(MOST_RULES - 1)})
    database.hset(KEY, f"phone +447{MOST_RULES:09}", f"block {now - 1}")
    database.expire(KEY, 3600)
    assert flask.run("block", "prefix", "+99890", "--for", "2h")[0] == 0
    assert 7100 < database.ttl(KEY) <= 7200
    assert flask.run("block", "prefix", "+99890", "--for", "30m")[0] == 0, "it is there already"
    assert database.ttl(KEY) > 7000
    status, output = flask.run("block", "prefix", "+99891")
    assert (status, output.startswith("10000 rules are set by hand")) == (1, True)
    assert database.hlen(KEY) == MOST_RULES


def test_blocking_a_prefix_names_the_prefixes_that_count_its_numbers(database: redis.Redis, flask: CommandLine) -> None:
    assert "counted as those of +97056 and +97059" in flask.run("block", "prefix", "+972")[1]
    assert "counted" not in flask.run("block", "prefix", "+99890")[1]


@pytest.mark.parametrize("value", ["junk", "block", "block soon", "allow 1795435200", ""])
def test_a_rule_that_cannot_be_read_refuses_its_sends(
    service: Service, database: redis.Redis, phone: str, value: str
) -> None:
    database.hset(KEY, f"prefix {phone[:6]}", value)
    database.expire(KEY, 60)
    assert refusal(service.send(phone)) == (503, "service_unavailable")
    assert service.send("+447400123456").status_code == 200


@pytest.mark.parametrize(
    "arguments",
    [
        "block phone +44",
        "block phone 07400123456",
        "block prefix +9",
        "block prefix +998901234567",
        "block country UZ",
        "trust prefix +99890 --for 91d",
        "trust prefix +99890 --for 0s",
        "trust prefix +99890 --for 100ms",
        "trust prefix +99890 --for soon",
    ],
)
def test_an_invalid_rule_is_refused(database: redis.Redis, flask: CommandLine, arguments: str) -> None:
    status, output = flask.run(*arguments.split())
    assert (status, "Invalid value" in output, database.exists(KEY)) == (2, True, 0)


def test_setting_a_rule_fails_without_redis(flask: CommandLine) -> None:
    assert flask.run("block", "prefix", "+99890", REDIS_URL="redis://127.0.0.1:1")[0] == 1


def test_forgetting_a_phone_removes_its_block(service: Service, database: redis.Redis, flask: CommandLine) -> None:
    flask.run("block", "phone", "+447400123456")
    flask.run("block", "prefix", "+99890")
    flask.group = phone_group
    assert flask.run("forget", "+447400123456")[1] == "+44***56 is forgotten: 1 keys were deleted.\n"
    assert list(database.hgetall(KEY)) == ["prefix +99890"]
