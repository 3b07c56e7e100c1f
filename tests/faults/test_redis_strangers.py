"""Redis replies too much, too little or nonsense while many requests wait: none of them gets the reply to another."""

import time
from collections.abc import Callable

import pytest

from tests.faults import redis_proxy as rp
from tests.faults.burst import Answer, ApiClients
from tests.faults.held_infobip import HeldInfobip, pin_of
from tests.faults.invariants import TOO_MANY, UNAVAILABLE, back_within
from tests.faults.redis_proxy import Act, Exchange, RedisProxy
from tests.support.running import Service

Start = Callable[..., Service]
SETTINGS = {"WEB_CONCURRENCY": "1"}
PHONES = [f"+49157{10000000 + number}" for number in range(40)]
BROKEN = PHONES[0]  # the phone whose command gets a wrong reply
YES, NO = (200, None), (401, "invalid_otp")


def early(exchange: Exchange) -> None:
    """Send an unrequested reply, and then the right one."""
    exchange.client.sendall(b"+OK\r\n")
    rp.pass_on(exchange)


def early_yes(exchange: Exchange) -> None:
    """Send such a reply in the form with which the service's scripts report success."""
    exchange.client.sendall(b"*1\r\n:1\r\n")
    rp.pass_on(exchange)


ACTS = {
    "twice": rp.reply_twice,
    "too early": early,
    "yes too early": early_yes,
    "never": rp.swallow,
    "garbage": rp.reply_with(b"\x00\xffHTTP/1.1 400\r\n\r\n"),
    "a list without an end": rp.reply_with(b"*1000000\r\n:1\r\n"),
}
each_act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


def slowly(act: Act) -> Act:
    """Do `act` after other requests have arrived."""

    def slow(exchange: Exchange) -> None:
        time.sleep(0.2)  # a part of the fault
        act(exchange)

    return slow


@pytest.fixture
def service(every_proxy: RedisProxy, start: Start, held: HeldInfobip, clients: ApiClients) -> Service:
    """Return the service. Half of the phones have a PIN; Infobip holds no response."""
    held.holds = False
    service = start(held.url, REDIS_URL=every_proxy.url, **SETTINGS)
    every = clients.send(service.port, PHONES[::2]).result(60)
    assert {answer.status for answer in every} == {200}
    return service


def status_and_code(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.body.get("code")


@each_act
@pytest.mark.parametrize("at", ["attempt", "consume"])
def test_no_guess_gets_the_reply_to_another(
    every_proxy: RedisProxy, service: Service, clients: ApiClients, held: HeldInfobip, at: str, act: Act
) -> None:
    """Every second guess is wrong, because it is the PIN of the next phone."""
    guessing = PHONES[::2]
    right = guessing[::2]
    neighbor = dict(zip(guessing, guessing[1:] + guessing[:1], strict=True))
    guesses = {phone: pin_of(phone if phone in right else neighbor[phone]) for phone in guessing}
    on = {"attempt": f"otp:phoneNumber:{BROKEN}", "consume": held.pin_ids(BROKEN)[0]}[at]
    every_proxy.fault(slowly(act), on, times=1)
    bodies = [{"phoneNumber": phone, "pin": pin} for phone, pin in guesses.items()]
    answers = clients.post(service.port, "/verify-otp", bodies).result(60)
    assert every_proxy.met == 1
    assert set(held.checked) <= set(guesses.items()), "whose pinId, and what they typed"
    for phone, answer in zip(guessing, answers, strict=True):
        assert status_and_code(answer) in (YES if phone in right else NO, UNAVAILABLE)
    back_within(5, service, "+442071838750")


@each_act
def test_no_send_is_allowed_by_the_reply_to_another(
    every_proxy: RedisProxy, service: Service, clients: ApiClients, held: HeldInfobip, act: Act
) -> None:
    """Every second phone has to wait, because it has a PIN already."""
    every_proxy.fault(slowly(act), PHONES[1], times=1)
    answers = clients.send(service.port, PHONES).result(60)
    assert every_proxy.met == 1
    for phone, answer in zip(PHONES, answers, strict=True):
        assert status_and_code(answer) in (TOO_MANY if phone in PHONES[::2] else YES, UNAVAILABLE)
    assert [len(held.pin_ids(phone)) for phone in PHONES[::2]] == [1] * 20
    assert max(len(held.pin_ids(phone)) for phone in PHONES) == 1
    back_within(5, service, "+442071838750")
