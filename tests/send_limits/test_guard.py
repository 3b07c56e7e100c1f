"""The fraud guard, as client apps and operators experience it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from cli.guard import guard
from otp.recipients import Recipient
from otp.redis import keys
from otp.requester import Requester
from tests.support.command import CommandLine, eventually
from tests.support.guard_driver import counted
from tests.support.redis_servers import in_redis
from tests.support.round_trips import round_trips
from tests.support.running import Sandbox, Service, refusal

LIMITED = (429, "too_many_requests")
Start = Callable[..., Service]


@pytest.fixture
def flask(tmp_path: Path, sandbox: Sandbox, redis_url: str) -> CommandLine:
    account = {"INFOBIP_BASE_URL": sandbox.url, "INFOBIP_2FA_APP_ID": "A", "INFOBIP_2FA_MSG_ID": "M"}
    command = CommandLine(tmp_path, REDIS_URL=redis_url, **account)
    command.group = guard
    return command


def neighbours(n: int) -> list[str]:
    """Return `n` phone numbers with one prefix."""
    return [f"+4915112340{i:03}" for i in range(n)]


def wait_until_verified(database: redis.Redis, phone: str) -> None:
    """Wait until the guard has recorded that `phone` is verified, which it does in the background."""
    eventually(lambda: not database.exists(f"otp:guard:pending:{phone}"))


def test_a_range_of_numbers_that_nobody_verifies_is_refused(guarded: Service, sandbox: Sandbox) -> None:
    answers = [guarded.send(phone) for phone in neighbours(13)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 3
    assert refusal(answers[-1]) == LIMITED
    assert 60 <= int(answers[-1].headers["Retry-After"]) <= 3600
    assert len(sandbox.messages) == 10
    assert guarded.send("+4915119999999").status_code == 200


@pytest.mark.parametrize(("verified_at", "status"), [("127.0.0.1", 200), ("192.0.2.1", 429), ("", 429)])
def test_a_full_address_still_serves_a_phone_that_was_verified_there(
    guarded: Service, database: redis.Redis, verified_at: str, status: int
) -> None:
    """Behind one NAT, or a backend that names no end users, people would otherwise lock each other out for a day."""
    for phone in ("+4915112345678", "+33612345678", "+447400123456"):
        assert guarded.send(phone).status_code == 200
    owner = "+34612345678"
    if verified_at:
        database.set(in_redis(keys.trusted(Recipient.at(owner))), Requester(verified_at).fingerprint, ex=60)
    assert guarded.send(owner).status_code == status
    assert refusal(guarded.send("+31612345678")) == LIMITED, "a number that nobody knows"


@pytest.mark.parametrize(("trusted_by", "status"), [("1", 429), ("junk", 429), ("A" * 12, 429), ("-", 200)])
def test_an_invalid_fingerprint_makes_no_phone_trusted(
    guarded: Service, database: redis.Redis, trusted_by: str, status: int
) -> None:
    """The prefix is full: only a trusted phone passes. `-` stands for an end user whom the client app has not named."""
    *others, owner = neighbours(11)
    for phone in others:
        assert guarded.send(phone).status_code == 200
    database.set(in_redis(keys.trusted(Recipient.at(owner))), trusted_by, ex=60)
    assert guarded.send(owner).status_code == status


def test_a_refused_phone_has_no_cooldown(guarded: Service, database: redis.Redis) -> None:
    for phone in neighbours(11):
        guarded.send(phone)
    assert not database.exists(f"{{otp:phoneNumber:{neighbours(11)[-1]}}}:cooldown")
    assert database.exists(f"{{otp:phoneNumber:{neighbours(11)[0]}}}:cooldown")


def test_verified_sends_never_fill_a_prefix(guarded: Service, database: redis.Redis, sandbox: Sandbox) -> None:
    for phone in neighbours(40):
        assert guarded.send(phone).status_code == 200
        assert guarded.verify(phone, sandbox.pin(phone)).status_code == 200
        wait_until_verified(database, phone)


def test_a_wrong_pin_leaves_a_send_unverified(guarded: Service, database: redis.Redis, sandbox: Sandbox) -> None:
    for phone in neighbours(10):
        guarded.send(phone)
        assert guarded.verify(phone, "000000").status_code == 401
    assert refusal(guarded.send(neighbours(11)[-1])) == LIMITED


def test_monitor_refuses_nothing(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, FRAUD_GUARD="monitor")
    answers = [service.send(phone) for phone in neighbours(15)]
    assert {answer.status_code for answer in answers} == {200}
    assert "let a send to DE through that looks like SMS pumping (prefix: pending)" in service.log_with(*answers)
    assert "4915112340" not in service.log()


def test_the_guard_adds_no_round_trip(guarded: Service, database: redis.Redis, sandbox: Sandbox) -> None:
    phones = [f"+4915{n}" for n in range(110000000, 150000000, 1000000)]
    for phone in phones[:20]:  # opens the connections
        guarded.send(phone)
    assert round_trips(database, guarded.send, phones[20:]) <= 3


def test_the_command_shows_a_block_and_lifts_it(guarded: Service, flask: CommandLine) -> None:
    assert flask.run() == (0, "Nothing is refused.\n")
    for phone in neighbours(11):
        guarded.send(phone)
    code, output = flask.run()
    assert code == 0
    assert "prefix   +491511234" in output
    assert "too many sends at once, before anybody could verify them" in output
    assert "flask guard lift prefix +491511234" in output
    code, output = flask.run("lift", "prefix", "+491511234")
    assert (code, output) == (
        0,
        "The unverified sends for prefix +491511234 are forgiven. The guard counts from zero again.\n",
    )
    assert flask.run() == (0, "Nothing is refused.\n")
    assert guarded.send(neighbours(11)[-1]).status_code == 200


def test_the_command_does_not_show_a_block_that_has_ended(database: redis.Redis, flask: CommandLine) -> None:
    database.hset("otp:guard:country:DE", mapping={"until": 1_795_435_200 - 86400, "why": "day"})
    database.expire("otp:guard:country:DE", 60)
    assert flask.run() == (0, "Nothing is refused.\n")


@pytest.mark.parametrize(
    ("planted", "status", "said"),
    [
        ({"until": "soon", "why": "day"}, 1, "Redis failed."),
        ({"until": "9999999999", "why": "\033[2J"}, 0, "for a reason that this version does not know"),
        ({"until": "9999999999"}, 0, "for a reason that this version does not know"),
    ],
)
def test_the_command_survives_what_another_program_wrote(
    database: redis.Redis, flask: CommandLine, planted: dict[str, str], status: int, said: str
) -> None:
    database.hset("otp:guard:country:DE", items=[part for field in planted.items() for part in field])
    database.expire("otp:guard:country:DE", 60)
    code, output = flask.run()
    assert (code, said in output, "\033" in output) == (status, True, False)


def test_a_prefix_that_is_a_whole_number_is_masked(database: redis.Redis, flask: CommandLine) -> None:
    """Some prefixes are numbers themselves; this one has no longer numbers."""
    whole = "prefix", "+14155552671"
    outputs = [flask.run("block", *whole)[1], flask.run()[1]]
    block(database, "prefix:+14155552671")
    outputs += [flask.run()[1], flask.run("lift", *whole)[1], flask.run("lift", *whole)[1]]
    assert "are forgiven" in outputs[3]
    assert [("+1***71" in output, "4155552671" in output) for output in outputs] == [(True, False)] * 5


def test_the_command_shows_countries_and_addresses_too(
    start: Start, database: redis.Redis, sandbox: Sandbox, flask: CommandLine
) -> None:
    given = {"GUARD_COUNTRY_PENDING": "2", "GUARD_COUNTRY_LEAST": "1"}
    service = start(sandbox.url, FRAUD_GUARD="block", **given)
    for phone in ("+4915112345678", "+4915212345678", "+4915712345678"):
        service.send(phone)
    for phone in ("+33612345678", "+447400123456", "+34612345678"):
        service.send(phone)
    _, output = flask.run()
    assert [line.split()[:2] for line in output.splitlines()[:2]] == [["address", "127.0.0.1"], ["country", "DE"]]
    for kind, which in (("address", "127.0.0.1"), ("country", "DE")):
        flask.run("lift", kind, which)
    assert flask.run() == (0, "Nothing is refused.\n")
    assert service.send("+4915712345678").status_code == 200


def test_an_address_is_shown_with_the_client_that_named_it(
    start: Start, database: redis.Redis, sandbox: Sandbox, flask: CommandLine
) -> None:
    key = "shop-key-0123456789"
    service = start(sandbox.url, FRAUD_GUARD="block", API_KEYS=f"shop:{key}")
    as_shop = {"headers": {"Authorization": f"Bearer {key}", "X-End-User-IP": "2001:db8::1"}}
    for phone in ("+4915112345678", "+33612345678", "+447400123456", "+34612345678"):
        service.send(phone, **as_shop)
    assert flask.run()[1].split()[:2] == ["address", "shop/2001:db8::/64"]
    flask.run("lift", "address", "shop/2001:db8::/64")
    assert flask.run() == (0, "Nothing is refused.\n")
    assert service.send("+34612345678", **as_shop).status_code == 200


def block(database: redis.Redis, scope: str) -> None:
    """Block the scope, so that there is something to lift."""
    key = f"otp:guard:{scope}"
    database.hset(key, mapping={"until": time.time() + 600, "why": "day"})
    database.expire(key, 600)


@pytest.mark.parametrize(
    ("kind", "typed", "counted_as"),
    [
        ("country", "uz", "UZ"),
        ("country", " Uz ", "UZ"),
        ("country", "pr", "PR"),
        ("country", "001", "001"),
        ("prefix", "+49 151-12345", "+4915112345"),
        ("prefix", "4915112345", "+4915112345"),
        ("prefix", "\u202a\uff0b49\u00a0151\u201112345\u202c", "+4915112345"),
        ("address", "\u200b192.0.2.1\u00a0", "192.0.2.1"),
        ("prefix", "004915112345", "+4915112345"),
        ("prefix", "+54 11 2345", "+549112345"),
        ("prefix", "+683", "+683"),
        ("prefix", "+49151123456", "+49151123456"),
        ("address", "::ffff:192.0.2.1", "192.0.2.1"),
        ("address", "2001:DB8:0:0::1", "2001:db8::/64"),
        ("address", "2001:db8::/64", "2001:db8::/64"),
        ("address", "Shop/2001:db8::ff", "shop/2001:db8::/64"),
        ("address", "shop/192.0.2.1", "shop/192.0.2.1"),
        ("address", "None", "None"),
        ("address", "shop/None", "shop/None"),
    ],
)
def test_lift_accepts_a_scope_as_people_type_it(
    database: redis.Redis, flask: CommandLine, kind: str, typed: str, counted_as: str
) -> None:
    block(database, f"{kind}:{counted_as}")
    expected = f"The unverified sends for {kind} {counted_as} are forgiven. The guard counts from zero again.\n"
    assert flask.run("lift", kind, typed) == (0, expected)
    assert flask.run() == (0, "Nothing is refused.\n")
    expected = f"There is nothing to forgive for {kind} {counted_as}. flask guard shows what is refused.\n"
    assert flask.run("lift", kind, typed) == (1, expected)


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        *(("country", typed) for typed in ("zz", "Uzbekistan", "UK", "USA", "", "U", "49", "D E", "*", "00")),
        *(("prefix", typed) for typed in ("+68", "+491511234567", "+0151", "151a", "", "+", "++49151", "DE", "+49*")),
        *(("prefix", typed) for typed in ("0049", "015112345")),
        *(("address", typed) for typed in ("192.0.2", "192.0.2.256", "192.0.2.0/24", "2001:db8::/48", "localhost", "")),
        *(
            ("address", typed)
            for typed in ("shop/", "/192.0.2.1", "shop/x", "a b/192.0.2.1", "shop/bank/192.0.2.1", "*")
        ),
    ],
)
def test_lift_refuses_an_invalid_scope(database: redis.Redis, flask: CommandLine, kind: str, typed: str) -> None:
    block(database, f"{kind}:{typed}")
    code, output = flask.run("lift", kind, typed)
    assert code == 2
    assert f"Invalid value for {kind}: must be " in output
    assert "forgiven" not in output


def test_there_is_nothing_to_lift_if_every_send_is_verified(
    guarded: Service, database: redis.Redis, sandbox: Sandbox, flask: CommandLine, phone: str
) -> None:
    guarded.send(phone)
    guarded.verify(phone, sandbox.pin(phone))
    wait_until_verified(database, phone)
    assert flask.run("lift", "country", "DE")[0] == 1
    guarded.send("+4915112345678")
    assert flask.run("lift", "country", "DE")[0] == 0
    assert flask.run("lift", "country", "DE")[0] == 1


def test_lift_fails_without_redis(flask: CommandLine) -> None:
    assert flask.run("lift", "country", "DE", REDIS_URL="redis://127.0.0.1:1")[0] == 1


def test_lift_keeps_the_counts_of_verified_sends(
    guarded: Service, database: redis.Redis, sandbox: Sandbox, flask: CommandLine
) -> None:
    verified, *others = neighbours(11)
    guarded.send(verified)
    guarded.verify(verified, sandbox.pin(verified))
    wait_until_verified(database, verified)
    for phone in others:
        guarded.send(phone)
    flask.run("lift", "country", "DE")
    for unit in ("minutes", "hours", "days"):
        counts = counted(database, "country:DE", unit).values()
        assert (sum(sent for sent, _ in counts), sum(verified for _, verified in counts)) == (1, 1)
