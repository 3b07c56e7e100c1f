"""The checker finds what breaks each rule, in forged journals, and nothing in honest ones."""

import threading

import pytest

from tests.faults.checker import RULES, Rules, check
from tests.faults.forged import OTHER, PHONE, Forged
from tests.faults.journal import Event, Journal


@pytest.fixture
def forged() -> Forged:
    return Forged()


def test_an_honest_history_is_clean(forged: Forged) -> None:
    forged.sent("111111")
    with forged.client("verify", 401, pin="000000"):
        forged.guess("000000", of="111111")
    forged.verified("111111")
    forged.sent("222222")
    forged.refused("verify", 401, "111111")
    forged.refused("send", 429)
    forged.verified("222222")
    assert forged.found(windows=((1, 5.0), (2, 20.0))) == []


def test_a_second_sms_of_one_send(forged: Forged) -> None:
    forged.sent("111111")
    forged.sms("222222")
    assert forged.found() == ["duplicate SMS"]


@pytest.mark.parametrize("status", [400, 401, 413, 429])
def test_an_sms_for_a_send_that_was_refused(forged: Forged, status: int) -> None:
    forged.sent("111111", status=status)
    assert forged.found() == ["duplicate SMS"]


def test_the_throttle_of_the_upstream_is_a_refusal_that_reached_it(forged: Forged) -> None:
    with forged.client("send", 429):
        forged.no_sms(429)
    assert forged.found() == []


@pytest.mark.parametrize("status", [0, 502, 503, 504])
def test_a_send_whose_outcome_is_unknown_accounts_for_one_sms(forged: Forged, status: int) -> None:
    forged.sent("111111", status=status)
    assert forged.found() == []
    forged.sms("222222")
    assert forged.found() == ["duplicate SMS"]


def test_a_late_sms_of_a_lost_send_beside_a_confirmed_one(forged: Forged) -> None:
    """Only one way to match them explains both."""
    forged.refused("send", 503)
    with forged.client("send", 200):
        forged.sms("111111")
        forged.sms("222222")
    assert forged.found() == []


def test_a_confirmation_without_an_sms(forged: Forged) -> None:
    forged.sent("111111")
    forged.refused("send", 200)
    assert forged.found() == ["confirmed without an SMS"]


def test_a_pin_accepted_twice(forged: Forged) -> None:
    forged.sent("111111")
    forged.verified("111111")
    forged.verified("111111")
    assert forged.found() == ["double success"]


def test_a_pin_accepted_after_a_newer_one(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.verified("111111")
    assert forged.found() == ["stale success"]


def test_a_pin_accepted_while_a_newer_one_is_on_its_way(forged: Forged) -> None:
    """Nobody was told yet that the older one is replaced; nor where the outcome is unknown."""
    forged.sent("111111")
    asked = Event(10, "asked", 10, "send", PHONE)
    forged.at = 10
    forged.events.append(asked)
    forged.sms("222222")
    forged.verified("111111")
    forged.events.append(Event(30, "answered", 10, status=200))
    assert forged.found() == []
    forged.events[-1] = Event(12.5, "answered", 10, status=504)
    assert forged.found() == []
    forged.events[-1] = Event(12.5, "answered", 10, status=200)
    assert forged.found() == ["stale success"]


def test_a_pin_accepted_for_another_phone(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222", phone=OTHER)
    forged.verified("222222")
    assert forged.found() == ["stale success"]


def test_a_pin_accepted_that_was_never_issued(forged: Forged) -> None:
    forged.verified("111111")
    assert forged.found() == ["stale success"]


def test_a_guess_too_many(forged: Forged) -> None:
    forged.sent("111111")
    for _ in range(5):
        forged.guess("000000", of="111111")
    assert forged.found() == []
    forged.guess("000000", of="111111")
    assert forged.found() == ["excess guess"]
    assert forged.found(attempts=6) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_guess_that_was_not_judged_is_none(forged: Forged, status: int) -> None:
    for _ in range(20):
        forged.guess("000000", of="111111", status=status)
    assert forged.found() == []


def test_a_guess_repeated_after_a_5xx_is_one_and_only_once(forged: Forged) -> None:
    for _ in range(10):
        forged.guess("000000", of="111111", status=500)
    assert forged.found() == []
    forged.guess("000000", of="111111", status=500)
    assert forged.found() == ["excess guess"]


def test_two_that_race_may_both_be_repeated(forged: Forged) -> None:
    """Both fail before either is repeated."""
    forged.step = 0.1
    for status in (500, 500, 200, 200):
        forged.guess("000000", of="111111", status=status)
    assert forged.found(attempts=2) == []
    assert forged.found(attempts=1) == ["excess guess"]


@pytest.mark.parametrize(("window", "found"), [((2, 10.0), ["SMS above a limit"]), ((2, 8.0), []), ((3, 99.0), [])])
def test_an_sms_above_a_limit(forged: Forged, window: tuple[int, float], found: list[str]) -> None:
    """Three sends at 1, 5 and 9: the third came at 10, the first was asked for at 1."""
    for pin in ("111111", "222222", "333333"):
        forged.sent(pin)
    assert forged.found(windows=(window,)) == found


@pytest.mark.parametrize(("phone", "found"), [("", []), (PHONE, []), (OTHER, ["SMS above a limit"])])
def test_what_redis_was_made_to_forget_counts_no_more(forged: Forged, phone: str, found: list[str]) -> None:
    forged.sent("111111")
    forged.events.append(Event(forged._next(), "forgot", 99, phone=phone))
    forged.sent("222222")
    assert forged.found(windows=((1, 30.0),)) == found


def test_what_was_not_sent_is_no_sms(forged: Forged) -> None:
    with forged.client("send", 502):
        forged.no_sms(200)
    forged.sent("111111")
    assert forged.found(windows=((1, 30.0),)) == []


def test_a_500(forged: Forged) -> None:
    forged.refused("verify", 500)
    assert forged.found() == ["500"]


def test_a_call_that_nobody_ended(forged: Forged) -> None:
    forged.events.append(Event(1, "asked", 1, "send", PHONE))
    assert forged.found() == []


def test_a_journal_keeps_the_order_of_many_threads() -> None:
    journal = Journal()

    def write() -> None:
        for _ in range(200):
            journal.answered(journal.asked("send", PHONE), 200)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = journal.events()
    assert len(events) == 3200
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert len({event.call for event in events}) == 1600
    assert {finding.rule for finding in check(events, Rules())} == {"confirmed without an SMS"}


def test_every_rule_is_tried_here() -> None:
    assert len(RULES) == 7
