"""A verification belongs to its requester: it is of one send by one client app, and has guesses of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from sandbox.model import Configuration
from sandbox.quirks import Quirks
from tests.support.command import eventually
from tests.support.running import LAX, Sandbox, Service, other_pin, refusal
from tests.support.upstream import RIGHT, SENT, Held, Upstream, answer, error
from tests.web.test_clients import API_KEYS, BANK, SHOP, SHOP_NEXT
from tests.web.test_resend import wait_over

NO = (401, "invalid_otp")
TOO_MANY = (429, "too_many_requests")
Start = Callable[..., Service]


class Person:
    """A person at an address, who uses a client app with an API key or one without."""

    def __init__(self, service: Service, phone: str, key: str = "", address: str = "192.0.2.1") -> None:
        self._service, self._phone = service, phone
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        if address:
            self._headers["X-End-User-IP" if key else "X-Forwarded-For"] = address

    def _post(self, path: str, verification_id: str | None, **body: str) -> Any:
        given = {"verificationId": verification_id} if verification_id else {}
        return self._service.post(path, {"phoneNumber": self._phone, **body, **given}, headers=self._headers)

    def send(self, verification_id: str | None = None) -> str:
        response = self._post("/send-otp", verification_id)
        assert response.status_code == 200
        return str(response.json()["verificationId"])

    def resend(self, verification_id: str | None = None) -> int | tuple[int, str]:
        response = self._post("/resend-otp", verification_id)
        return 200 if response.status_code == 200 else refusal(response)

    def verify(self, pin: str, verification_id: str | None = None) -> int | tuple[int, str]:
        response = self._post("/verify-otp", verification_id, pin=pin)
        return 200 if response.status_code == 200 else refusal(response)


@pytest.fixture
def plain(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service without API keys, behind one trusted proxy."""
    return start(sandbox.url, TRUSTED_PROXIES="1")


@pytest.fixture
def same(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The same service, where a second send repeats the PIN of its requester."""
    return start(sandbox.url, TRUSTED_PROXIES="1", SEND_AGAIN="same")


@pytest.fixture
def keyed(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with two client apps."""
    return start(sandbox.url, API_KEYS=API_KEYS)


def failure_count(database: redis.Redis, phone: str) -> int:
    """Return how many guesses at this phone's PINs count as failures."""
    return database.llen(f"{{otp:phoneNumber:{phone}}}:failures")


# Each send has its own PIN.


def test_a_send_by_a_stranger_does_not_replace_the_pin(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    victim, stranger = Person(plain, phone), Person(plain, phone, address="203.0.113.9")
    own = victim.send()
    for _ in range(2):
        wait_over(database)
        stranger.send()
        assert stranger.verify(other_pin(sandbox.pin(phone))) == NO
    assert victim.verify(sandbox.pins(phone)[0], own) == 200


def test_guesses_by_a_stranger_do_not_use_up_those_of_the_requester(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    victim, stranger = Person(plain, phone), Person(plain, phone, address="203.0.113.9")
    own = victim.send()
    wait_over(database)
    theirs = stranger.send()
    for verification_id in (theirs, None, None, None, theirs, theirs):
        assert stranger.verify(other_pin(sandbox.pin(phone)), verification_id) == NO
    assert sandbox.verifies() == 5
    assert victim.verify(sandbox.pins(phone)[0], own) == 200


def test_three_pins_are_valid_at_once(plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    person, ids = Person(plain, phone), []
    for _ in range(4):
        ids.append(person.send())
        wait_over(database)
    pins = sandbox.pins(phone)
    assert person.verify(pins[0], ids[0]) == NO, "it gave way"
    assert sandbox.verifies() == 0
    assert [person.verify(pins[n], ids[n]) for n in (2, 1, 3)] == [200, 200, 200]
    assert [person.verify(pins[n], ids[n]) for n in (2, 1, 3)] == [NO, NO, NO]


def test_without_an_id_only_the_newest_pin_verifies(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    person = Person(plain, phone)
    older = person.send()
    wait_over(database)
    person.send()
    first, second = sandbox.pins(phone)
    assert person.verify(first) == NO
    assert person.verify(second) == 200
    assert person.verify(first) == NO, "not even when the newest is used"
    assert sandbox.verifies() == 2
    assert person.verify(first, older) == 200


def test_each_pin_has_its_own_expiry(plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    person, key = Person(plain, phone), f"otp:phoneNumber:{phone}"
    older = person.send()
    wait_over(database)
    newer = person.send()
    database.hset(key, "ends", 1)
    assert person.verify(sandbox.pins(phone)[0], older) == NO
    assert person.resend(older) == NO
    assert sandbox.verifies() == 0
    assert person.verify(sandbox.pin(phone), newer) == 200
    assert 0 < database.pttl(key) <= 10_000


def test_a_resend_sends_the_pin_of_its_id(plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    person = Person(plain, phone)
    older = person.send()
    wait_over(database)
    person.send()
    for verification_id, place in ((older, 0), (None, 1)):
        wait_over(database)
        assert person.resend(verification_id) == 200
        assert sandbox.pin(phone) == sandbox.pins(phone)[place]


def test_a_resend_needs_the_id_if_it_is_required(start: Start, sandbox: Sandbox, phone: str) -> None:
    person = Person(start(sandbox.url, REQUIRE_VERIFICATION_ID="true"), phone)
    own = person.send()
    assert person.resend() == (400, "invalid_request")
    assert person.resend("x" * 22) == NO, "not 429: it says nothing of a PIN"
    assert person.resend(own) == TOO_MANY


def test_a_resend_does_not_reveal_whether_a_pin_is_pending(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    person, stranger = Person(plain, phone), Person(plain, phone, address="203.0.113.9")
    person.send()
    assert stranger.resend() == TOO_MANY
    assert stranger.resend("x" * 22) == NO
    assert person.verify(sandbox.pin(phone)) == 200
    assert stranger.resend() == TOO_MANY, "the PIN is used, the wait is the same"
    assert stranger.resend("x" * 22) == NO
    wait_over(database)
    assert stranger.resend() == NO
    assert len(sandbox.messages) == 1


def test_a_second_send_repeats_only_the_pin_of_its_requester(
    same: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    victim, stranger = Person(same, phone), Person(same, phone, address="203.0.113.9")
    own = victim.send()
    wait_over(database)
    theirs = stranger.send()
    assert len(set(sandbox.pins(phone))) == 2, "a stranger gets a new one"
    assert stranger.verify(sandbox.pins(phone)[0], theirs) == NO
    wait_over(database)
    assert stranger.send("x" * 22) != theirs
    assert len(set(sandbox.pins(phone))) == 3
    wait_over(database)
    assert victim.send(own) == own
    assert sandbox.pin(phone) == sandbox.pins(phone)[0]
    wait_over(database)
    assert Person(same, phone, address="198.51.100.7").send(own) == own, "the id is enough, wherever its owner is"
    assert victim.verify(sandbox.pin(phone), own) == 200


# Each client app has its own PINs.


@pytest.mark.parametrize("by_id", [True, False])
def test_a_pin_is_valid_for_one_client(
    keyed: Service, sandbox: Sandbox, database: redis.Redis, phone: str, by_id: bool
) -> None:
    shop, bank = Person(keyed, phone, SHOP), Person(keyed, phone, BANK)
    own = shop.send()
    pin, verification_id = sandbox.pin(phone), own if by_id else None
    wait_over(database)
    assert bank.verify(pin, verification_id) == NO
    assert bank.resend(verification_id) == NO
    assert sandbox.request_count() == 1, "Infobip was asked for nothing but the PIN"
    assert Person(keyed, phone, SHOP_NEXT).verify(pin, verification_id) == 200, "two keys of one name are one client"


def test_a_client_uses_up_no_guesses_of_another(
    keyed: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    shop, bank = Person(keyed, phone, SHOP), Person(keyed, phone, BANK)
    bank.send()
    for _ in range(6):
        assert shop.verify(other_pin(sandbox.pin(phone))) == NO
    wait_over(database)
    shop.send()
    for _ in range(6):
        assert shop.verify(other_pin(sandbox.pin(phone))) == NO
    assert sandbox.verifies() == 5, "at the shop's own"
    assert bank.verify(sandbox.pins(phone)[0]) == 200, "and it is still the bank's newest"


# Infobip does not know a PIN any more.

GONE = {
    "404": error(404, "NOT_FOUND"),
    "400": error(400, "BAD_REQUEST"),
    "no guess left": answer({**RIGHT, "pinId": "A" * 32, "verified": False, "pinError": "NO_MORE_PIN_ATTEMPTS"}),
    "expired": answer({**RIGHT, "pinId": "A" * 32, "verified": False, "pinError": "TTL_EXPIRED"}),
}


@pytest.mark.parametrize("act", GONE.values(), ids=GONE)
def test_a_pin_that_infobip_does_not_know_is_dropped(
    faulty: Service, upstream: Upstream, database: redis.Redis, act: Callable[..., None]
) -> None:
    phone, ids = "+4915112345678", []
    for pin_id in ("A" * 32, "B" * 32):
        upstream.script.append(answer({**SENT, "pinId": pin_id}))
        ids.append(faulty.send(phone).json()["verificationId"])
        wait_over(database)
    upstream.script.append(act)
    body = {"phoneNumber": phone, "pin": "123456", "verificationId": ids[0]}
    for _ in range(2):
        assert refusal(faulty.post("/verify-otp", body)) == NO
    assert refusal(faulty.post("/resend-otp", {"phoneNumber": phone, "verificationId": ids[0]})) == NO
    assert len(upstream.requests) == 3, "Infobip is asked once"
    upstream.script.append(answer({**RIGHT, "pinId": "B" * 32}))
    assert faulty.post("/verify-otp", {**body, "verificationId": ids[1]}).status_code == 200, "a newer one stays"


@pytest.mark.parametrize("path", ["/verify-otp", "/resend-otp"])
def test_a_pin_that_is_gone_for_one_request_is_used_by_the_one_that_verified_it(
    patient: Service, upstream: Upstream, database: redis.Redis, phone: str, path: str
) -> None:
    """Infobip does not know a PIN any more that it has verified. Its response to that may come last."""
    assert patient.send(phone).status_code == 200
    wait_over(database)
    held = Held(answer(RIGHT))
    upstream.script += [held, error(404, "NOT_FOUND")]
    with ThreadPoolExecutor(1) as executor:
        verify = executor.submit(patient.verify, phone, "123456")
        assert held.came.wait(60)
        assert refusal(patient.post(path, {"phoneNumber": phone, "pin": "123456"})) == NO
        held.release()
        assert verify.result().status_code == 200
    assert refusal(patient.verify(phone, "123456")) == NO


def test_a_pin_is_kept_after_a_wrong_guess(
    service: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    service.send(phone)
    assert refusal(service.verify(phone, other_pin(sandbox.pin(phone)))) == NO
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_a_send_that_would_repeat_an_unknown_pin_sends_a_new_one(
    same: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    person = Person(same, phone)
    own = person.send()
    wait_over(database)
    sandbox.reset()
    new = person.send(own)
    assert new != own
    assert person.verify(sandbox.pin(phone), new) == 200


def test_a_resend_of_an_unknown_pin_drops_it(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    person = Person(plain, phone)
    own = person.send()
    wait_over(database)
    sandbox.reset()
    for _ in range(2):
        assert person.resend(own) == NO
    assert sandbox.request_count() == 1, "Infobip is asked once"
    assert database.keys("*:cooldown") == []


# A new PIN brings no new guesses.


def make_wrong_guesses(person: Person, sandbox: Sandbox, database: redis.Redis, phone: str, times: int) -> None:
    """Make that many wrong guesses, five at each of several new PINs."""
    for n in range(times):
        if n % 5 == 0:
            wait_over(database)
            person.send()
        assert person.verify(other_pin(sandbox.pin(phone))) == NO


def test_a_last_guess_that_infobip_refuses_as_one_too_many_counts(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    """Infobip may not say that the last guess was wrong, but that no guess is left."""
    sandbox.reset(LAX.copy_with({"pin_attempts": 5}), Quirks(last_attempt_error="NO_MORE_PIN_ATTEMPTS"))
    make_wrong_guesses(Person(plain, phone), sandbox, database, phone, 5)
    assert (sandbox.verifies(), database.llen(f"{{otp:phoneNumber:{phone}}}:failures")) == (5, 5)


def test_ten_guesses_per_day_may_fail(plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    person = Person(plain, phone)
    make_wrong_guesses(person, sandbox, database, phone, 10)
    assert sandbox.verifies() == 10
    wait_over(database)
    own = person.send()
    for _ in range(2):
        assert person.verify(sandbox.pin(phone)) == NO
    assert sandbox.verifies() == 10
    assert 86_000 < database.ttl(f"{{otp:phoneNumber:{phone}}}:failures") <= 86_401
    eventually(lambda: len(plain.lines(outcome="failure_limit", phone=f"+49***{phone[-2:]}")) >= 2)
    assert person.verify(other_pin(sandbox.pin(phone)), own) == NO
    assert sandbox.verifies() == 11, "who has an id has the first guess at its PIN"
    assert person.verify(sandbox.pin(phone), own) == NO
    database.ltrim(f"{{otp:phoneNumber:{phone}}}:failures", 0, 8)  # as if two of them were too old
    assert person.verify(sandbox.pin(phone), own) == 200


def test_a_success_deletes_the_failures(plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str) -> None:
    person = Person(plain, phone)
    make_wrong_guesses(person, sandbox, database, phone, 9)
    assert person.verify(sandbox.pin(phone)) == 200
    assert failure_count(database, phone) == 0
    make_wrong_guesses(person, sandbox, database, phone, 5)
    assert sandbox.verifies() == 15


def test_a_guess_that_infobip_did_not_check_is_no_failure(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    sandbox.reset(Configuration(verify_pin_limit="1/3s"))
    person = Person(plain, phone)
    person.send()
    statuses = [person.verify("000000"), person.verify("000000")]
    assert statuses[1] == TOO_MANY
    assert failure_count(database, phone) == 1


def test_strangers_lock_nobody_out_if_the_id_is_required(start: Start, sandbox: Sandbox, phone: str) -> None:
    service = start(sandbox.url, REQUIRE_VERIFICATION_ID="true")
    owner, stranger = Person(service, phone), Person(service, phone)
    own = owner.send()
    for _ in range(12):
        assert stranger.verify("000000", "x" * 22) == NO
    assert owner.verify(sandbox.pin(phone), own) == 200


def test_a_person_who_verified_recently_is_not_locked_out(
    plain: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    """Their own mistakes do not lock them out either: each PIN has its first guess."""
    person, trusted = Person(plain, phone), f"{{otp:phoneNumber:{phone}}}:trusted"
    person.send()
    assert person.verify(sandbox.pin(phone)) == 200
    assert 29 * 86400 < database.ttl(trusted) <= 30 * 86400
    make_wrong_guesses(person, sandbox, database, phone, 10)
    wait_over(database)
    person.send()
    assert person.verify(other_pin(sandbox.pin(phone))) == NO
    verifies = sandbox.verifies()
    assert person.verify(sandbox.pin(phone)) == NO, "the second guess is refused"
    assert sandbox.verifies() == verifies
    wait_over(database)
    person.send()
    assert person.verify(sandbox.pin(phone)) == 200
    assert failure_count(database, phone) == 0


@pytest.mark.parametrize("required", ["true", "false"])
def test_strangers_who_fail_at_pins_of_their_own_lock_nobody_out(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str, required: str
) -> None:
    service = start(sandbox.url, REQUIRE_VERIFICATION_ID=required, TRUSTED_PROXIES="1")
    owner, stranger = Person(service, phone), Person(service, phone, address="203.0.113.9")
    own = owner.send()
    for _ in range(2):
        wait_over(database)
        theirs = stranger.send()
        for _ in range(5):
            assert stranger.verify(other_pin(sandbox.pin(phone)), theirs) == NO
    assert sandbox.verifies() == 10
    assert owner.verify(sandbox.pins(phone)[0], own) == 200


def test_a_response_that_never_came_is_no_failure(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str
) -> None:
    faulty.send(phone)
    for _ in range(2):
        upstream.script.extend([error(500, "GENERAL_ERROR")] * 2)
        assert refusal(faulty.verify(phone, "123456")) == (504, "provider_timeout")
    assert failure_count(database, phone) == 0
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "2", "each may have been judged"


def test_a_client_that_sends_often_replaces_its_own_pins(
    keyed: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    shop, bank = Person(keyed, phone, SHOP), Person(keyed, phone, BANK)
    bank.send()
    for _ in range(4):
        wait_over(database)
        shop.send()
    assert bank.verify(sandbox.pins(phone)[0]) == 200


def test_a_resend_beyond_its_limit_does_not_reveal_whether_a_pin_is_pending(
    start: Start, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    service = start(sandbox.url, PHONE_SEND_LIMIT="1 per day")
    person = Person(service, phone)
    person.send()
    wait_over(database)
    assert person.resend() == TOO_MANY
    assert person.verify(sandbox.pin(phone)) == 200
    assert person.resend() == TOO_MANY, "the PIN is used, the answer is the same"
    assert database.keys("*:cooldown") == []


def test_a_client_that_names_no_end_user_repeats_a_pin_only_by_its_id(
    start: Start, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    shop = Person(start(sandbox.url, API_KEYS=API_KEYS, SEND_AGAIN="same"), phone, SHOP, address="")
    own = shop.send()
    wait_over(database)
    shop.send()
    assert len(set(sandbox.pins(phone))) == 2, "it may be for another of its users"
    wait_over(database)
    assert shop.send(own) == own
    assert sandbox.pin(phone) == sandbox.pins(phone)[0]


def test_a_used_pin_does_not_count_as_one_of_three(
    keyed: Service, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    shop, bank = Person(keyed, phone, SHOP), Person(keyed, phone, BANK)
    first = shop.send()
    for person in (bank, shop):
        wait_over(database)
        person.send()
    assert shop.verify(sandbox.pin(phone)) == 200
    wait_over(database)
    bank.send()
    assert shop.verify(sandbox.pins(phone)[0], first) == 200, "two lived, and it was one of them"
