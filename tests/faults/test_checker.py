"""The checker finds each broken rule in forged journals, and nothing in honest ones."""

import threading

import pytest

from tests.faults.checker import RULES, Rules, check
from tests.faults.forged_histories import OTHER, PHONE, Forged
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


def test_a_second_sms_of_one_send_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.sms("222222")
    assert forged.found() == ["duplicate SMS"]


@pytest.mark.parametrize("status", [400, 401, 413, 429])
def test_an_sms_of_a_refused_send_is_found(forged: Forged, status: int) -> None:
    forged.sent("111111", status=status)
    assert forged.found() == ["duplicate SMS"]


def test_a_send_that_the_upstream_throttled_is_clean(forged: Forged) -> None:
    with forged.client("send", 429):
        forged.no_sms(429)
    assert forged.found() == []


@pytest.mark.parametrize("status", [0, 502, 503, 504])
def test_a_send_whose_outcome_is_unknown_accounts_for_one_sms(forged: Forged, status: int) -> None:
    forged.sent("111111", status=status)
    assert forged.found() == []
    forged.sms("222222")
    assert forged.found() == ["duplicate SMS"]


def test_a_late_sms_of_a_lost_send_and_that_of_a_confirmed_one_are_clean(forged: Forged) -> None:
    """Only one way of matching explains both messages."""
    forged.refused("send", 503)
    with forged.client("send", 200):
        forged.sms("111111")
        forged.sms("222222")
    assert forged.found() == []


def test_a_confirmation_without_an_sms_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.refused("send", 200)
    assert forged.found() == ["confirmed without an SMS"]


def test_a_pin_accepted_twice_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.verified("111111")
    forged.verified("111111")
    assert forged.found() == ["double success"]


def test_a_pin_accepted_after_a_newer_one_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.verified("111111")
    assert forged.found() == ["stale success"]


def test_a_pin_is_stale_only_after_a_newer_one_is_confirmed(forged: Forged) -> None:
    """Until then, no client knows that the older one is replaced; the same holds if the outcome is unknown."""
    forged.sent("111111")
    request = Event(10, "asked", 10, "send", PHONE)
    forged.at = 10
    forged.events.append(request)
    forged.sms("222222")
    forged.verified("111111")
    forged.events.append(Event(30, "answered", 10, status=200))
    assert forged.found() == []
    forged.events[-1] = Event(12.5, "answered", 10, status=504)
    assert forged.found() == []
    forged.events[-1] = Event(12.5, "answered", 10, status=200)
    assert forged.found() == ["stale success"]


def test_a_pin_accepted_for_another_phone_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222", phone=OTHER)
    forged.verified("222222")
    assert forged.found() == ["stale success", "stray guess"]


def test_an_accepted_pin_that_was_never_issued_is_found(forged: Forged) -> None:
    forged.verified("111111")
    assert forged.found() == ["stale success"]


def test_a_guess_above_the_limit_is_found(forged: Forged) -> None:
    forged.sent("111111")
    for _ in range(5):
        forged.tried("000000", at="111111")
    assert forged.found() == []
    forged.tried("000000", at="111111")
    assert forged.found() == ["excess guess"]
    assert forged.found(attempts=6) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_guess_that_the_upstream_refused_does_not_count(forged: Forged, status: int) -> None:
    forged.sent("111111")
    for _ in range(20):
        forged.tried("000000", at="111111", status=status)
    assert forged.found() == []


def test_a_guess_repeated_once_after_a_5xx_counts_once(forged: Forged) -> None:
    forged.sent("111111")
    for _ in range(5):
        forged.tried_twice("000000", at="111111")
    assert forged.found(failures=5) == []
    forged.tried_twice("000000", at="111111")
    assert forged.found(failures=5) == ["excess guess"]


def test_two_guesses_that_race_may_both_be_repeated(forged: Forged) -> None:
    """Both fail before either is repeated."""
    forged.step = 0.1
    forged.sent("111111")
    with forged.client("verify", 401, pin="000000"):
        for status in (500, 500, 200, 200):
            forged.guess("000000", of="111111", status=status)
    assert forged.found(attempts=2) == []
    assert forged.found(attempts=1) == ["excess guess"]


def test_several_pins_of_two_clients_are_clean(forged: Forged) -> None:
    forged.sent("111111", of="shop")
    forged.sent("222222", of="bank")
    forged.sent("333333", of="shop")
    forged.refused("verify", 401, "111111", of="shop")
    forged.refused("verify", 401, "111111", of="bank", named="of-111111")
    forged.tried("000000", at="222222", of="bank")
    forged.tried("000000", at="111111", of="shop", named="of-111111")
    forged.resent("111111", of="shop", named="of-111111")
    forged.resent("222222", of="bank")
    forged.verified("222222", of="bank")
    forged.verified("333333", of="shop")
    forged.refused("verify", 401, "111111", of="shop")
    forged.verified("111111", of="shop", named="of-111111")
    assert forged.found() == []


@pytest.mark.parametrize("named", ["", "of-111111"])
def test_a_pin_accepted_from_another_client_is_found(forged: Forged, named: str) -> None:
    forged.sent("111111", of="shop")
    forged.verified("111111", of="bank", named=named)
    assert forged.found() == ["wrong client", *(["wrong id"] if named else [])]


def test_a_pin_of_another_client_is_found_though_one_of_its_own_may_be_late(forged: Forged) -> None:
    """Only one of the two messages can belong to the confirmed send. The other may belong to either client."""
    forged.refused("send", 503, of="bank")
    forged.sent("111111", of="shop")
    forged.verified("111111", of="bank")
    assert forged.found() == ["wrong client"]


def test_a_pin_that_either_client_may_have_requested_is_clean(forged: Forged) -> None:
    forged.step = 0.1
    forged.refused("send", 503, of="bank")
    forged.sent("111111", status=504, of="shop")
    forged.verified("111111", of="bank")
    assert forged.found() == []


def test_a_pin_that_no_client_can_have_requested_is_found(forged: Forged) -> None:
    forged.sent("111111", status=400)
    forged.verified("111111")
    assert forged.found() == ["duplicate SMS"]


def test_a_newer_pin_of_another_client_replaces_nothing(forged: Forged) -> None:
    forged.sent("111111", of="shop")
    forged.sent("222222", of="bank")
    forged.verified("111111", of="shop")
    assert forged.found() == []


@pytest.mark.parametrize("named", ["of-222222", "never given"])
def test_a_pin_accepted_with_the_id_of_another_send_is_found(forged: Forged, named: str) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.verified("111111", named=named)
    assert forged.found() == ["wrong id"]


def test_an_older_pin_accepted_with_its_id_is_clean(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.verified("111111", named="of-111111")
    assert forged.found() == []


def test_an_older_pin_accepted_without_its_id_is_found_though_the_newer_was_used(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.verified("222222")
    forged.verified("111111")
    assert forged.found() == ["stale success"]


@pytest.mark.parametrize(("of", "found"), [("", ["stale success"]), ("bank", [])])
def test_the_third_newer_pin_of_a_client_displaces_its_oldest(forged: Forged, of: str, found: list[str]) -> None:
    forged.sent("111111")
    for pin in ("222222", "333333"):
        forged.sent(pin, of=of)
    forged.verified("111111", named="of-111111")
    assert forged.found() == []
    forged.events, forged.at = forged.events[:-4], forged.at - 4
    forged.sent("444444", of=of)
    forged.verified("111111", named="of-111111")
    assert forged.found() == found
    assert forged.found(side_by_side=4) == []


@pytest.mark.parametrize("by", ["a success", "a drop"])
def test_a_pin_that_ended_makes_room(forged: Forged, by: str) -> None:
    forged.sent("111111")
    forged.sent("222222", of="bank")
    if by == "a success":
        forged.verified("222222", of="bank")
    else:
        with forged.client("verify", 401, pin="000000", of="bank"):
            forged.gone("verify", of="222222", pin="000000")
    for pin in ("333333", "444444"):
        forged.sent(pin, of="bank")
    forged.verified("111111")
    assert forged.found() == []


@pytest.mark.parametrize(("waited", "found"), [(594, []), (595, ["stale success"])])
def test_a_pin_accepted_after_its_end_is_found(forged: Forged, waited: int, found: list[str]) -> None:
    """The PIN is already 11 s old, and up to 5 s may pass before it is saved. A newer PIN does not prolong its life."""
    forged.sent("111111")
    forged.aged(waited - 300)
    forged.sent("222222")
    forged.aged(300)
    forged.verified("111111", named="of-111111")
    assert forged.found() == found


def test_time_that_may_not_have_passed_does_not_end_a_pin(forged: Forged) -> None:
    forged.sent("111111")
    forged.aged(700)
    forged.events.pop()
    forged.verified("111111")
    assert forged.found() == []


def test_a_pin_that_may_have_been_saved_later_has_not_ended(forged: Forged) -> None:
    forged.step = 0.1
    forged.sent("111111", status=504)
    forged.aged(700)
    forged.verified("111111")
    assert forged.found() == []


def test_pins_that_were_forgotten_take_no_room(forged: Forged) -> None:
    """The first PIN may have been saved after the others were forgotten."""
    forged.step = 0.1
    forged.sent("111111", status=503)
    for pin in ("222222", "333333", "444444"):
        forged.sent(pin, of="bank")
    forged.forgot()
    forged.verified("111111")
    assert forged.found() == []


def test_a_guess_at_the_pin_of_another_client_is_found(forged: Forged) -> None:
    forged.sent("111111", of="shop")
    forged.tried("000000", at="111111", of="bank")
    assert forged.found() == ["stray guess"]


def test_a_guess_at_another_pin_than_the_named_one_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.tried("000000", at="222222", named="of-111111")
    assert forged.found() == ["stray guess"]


def test_a_guess_at_an_older_pin_without_its_id_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.tried("000000", at="111111")
    assert forged.found() == ["stray guess"]


def test_a_guess_that_one_of_two_clients_may_make_is_clean(forged: Forged) -> None:
    forged.sent("111111", of="shop")
    with forged.client("verify", 401, pin="000000", of="shop"):
        forged.tried("000000", at="111111", of="bank")
    assert forged.found() == []


def test_a_resend_of_the_pin_of_another_client_is_found(forged: Forged) -> None:
    forged.sent("111111", of="shop")
    forged.resent("111111", of="bank")
    assert forged.found() == ["duplicate SMS", "confirmed without an SMS"]


@pytest.mark.parametrize("named", ["", "of-222222"])
def test_a_resend_of_another_pin_than_the_named_one_is_found(forged: Forged, named: str) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.resent("111111", named=named)
    assert forged.found() == ["duplicate SMS", "confirmed without an SMS"]


def test_a_resend_explains_one_sms(forged: Forged) -> None:
    forged.sent("111111")
    forged.resent("111111", named="of-111111")
    assert forged.found() == []
    assert forged.found(windows=((1, 30.0),)) == ["SMS above a limit"]
    forged.sms_again("111111")
    assert forged.found() == ["duplicate SMS"]


def test_a_send_at_the_upstream_does_not_explain_a_resend(forged: Forged) -> None:
    forged.sent("111111")
    with forged.client("resend", 200):
        forged.sms("222222")
    assert forged.found() == ["duplicate SMS", "confirmed without an SMS"]


def test_a_refused_resend_of_a_pin_unknown_to_the_upstream_is_clean(forged: Forged) -> None:
    forged.sent("111111")
    with forged.client("resend", 401):
        forged.gone("resend", of="111111")
    forged.refused("verify", 401, "111111")
    assert forged.found() == []


def failed(forged: Forged, pin: str, times: int, status: int = 200) -> None:
    """Send a new PIN, and make `times` wrong guesses at it."""
    forged.sent(pin)
    for number in range(times):
        forged.tried(f"00000{number}", at=pin, status=status)


def test_failures_at_several_pins_of_a_phone_are_counted_together(forged: Forged) -> None:
    failed(forged, "111111", 5)
    failed(forged, "222222", 5)
    assert forged.found() == []
    failed(forged, "333333", 3)
    assert forged.found() == [], "each PIN may have one more"
    forged.tried("000009", at="333333")
    assert forged.found() == ["excess failures"]
    assert forged.found(failures=11) == []


def test_failures_at_the_pins_of_two_clients_are_counted_together(forged: Forged) -> None:
    failed(forged, "111111", 5)
    forged.sent("222222", of="bank")
    for _ in range(5):
        forged.tried("000000", at="222222", of="bank")
    assert forged.found(failures=7) == ["excess failures"]


def test_failures_at_the_pins_of_two_phones_are_counted_separately(forged: Forged) -> None:
    failed(forged, "111111", 5)
    forged.sent("222222", phone=OTHER)
    for _ in range(5):
        with forged.client("verify", 401, phone=OTHER, pin="000000"):
            forged.guess("000000", of="222222")
    assert forged.found(failures=5) == []


@pytest.mark.parametrize("status", [0, 204, 400, 404, 429, 500])
def test_a_guess_without_a_verdict_is_no_failure(forged: Forged, status: int) -> None:
    failed(forged, "111111", 4, status)
    assert forged.found(failures=2) == []


def test_a_guess_at_a_pin_that_is_gone_is_no_failure(forged: Forged) -> None:
    """The same holds if the upstream failed first, and the request was repeated."""
    failed(forged, "111111", 2)
    forged.sent("222222")
    with forged.client("verify", 401, pin="000000"):
        forged.guess("000000", of="222222", status=500)
        forged.gone("verify", of="222222", pin="000000")
    assert forged.found(failures=2) == []


def test_a_success_clears_the_failures(forged: Forged) -> None:
    failed(forged, "111111", 2)
    forged.verified("111111")
    failed(forged, "222222", 2)
    assert forged.found(failures=2) == []
    forged.tried("000009", at="222222")
    assert forged.found(failures=1) == ["excess failures"]


def test_a_success_without_a_response_may_clear_the_failures_later(forged: Forged) -> None:
    failed(forged, "111111", 2)
    with forged.client("verify", 503, pin="111111"):
        forged.guess("111111", of="111111")
    failed(forged, "222222", 2)
    assert forged.found(failures=2) == []
    forged.step = 2.0
    failed(forged, "333333", 4)
    assert forged.found(failures=2) == ["excess failures"]


def test_failures_that_race_with_a_success_count_before_or_after_it(forged: Forged) -> None:
    failed(forged, "111111", 2)
    with forged.client("verify", 200, pin="111111"):
        forged.guess("111111", of="111111")
        forged.guess("000009", of="111111")
    request = Event(forged.at - 4.5, "asked", 1, "verify", PHONE, "000009")
    forged.events += [request, Event(forged._next(), "answered", 1, status=401)]
    assert forged.found(failures=2) == []


def test_failures_during_a_successful_verify_count_before_or_after_it(forged: Forged) -> None:
    """The upstream checks them while the right PIN's client waits: the count may restart before or after them."""
    failed(forged, "111111", 2)
    with forged.client("verify", 200, pin="111111"):
        forged.guess("111111", of="111111")
        forged.tried("000008", at="111111")
    forged.sent("222222")
    forged.tried("000009", at="222222")
    forged.tried("000009", at="222222")
    assert forged.found(failures=2) == []
    assert forged.found(failures=0) == ["excess failures"]


@pytest.mark.parametrize(("aged", "found"), [(False, []), (True, ["excess failures"])])
def test_failures_are_forgotten_but_do_not_age(forged: Forged, aged: bool, found: list[str]) -> None:
    failed(forged, "111111", 2)
    forged.aged(31) if aged else forged.forgot()
    failed(forged, "222222", 2)
    assert forged.found(failures=1) == found


def test_a_right_pin_that_is_refused_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.refused("verify", 401, "111111")
    assert forged.found() == ["right PIN refused"]


@pytest.mark.parametrize("named", ["", "of-111111"])
def test_a_right_pin_that_is_refused_because_of_another_client_is_found(forged: Forged, named: str) -> None:
    forged.sent("111111", of="shop")
    forged.sent("222222", of="bank")
    for _ in range(5):
        forged.refused("verify", 401, "000000", of="bank", named="of-111111")
    forged.refused("verify", 401, "111111", of="shop", named=named)
    assert forged.found() == ["right PIN refused"]


def test_an_older_pin_that_is_refused_with_its_id_is_found(forged: Forged) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.refused("verify", 401, "111111", named="of-111111")
    assert forged.found() == ["right PIN refused"]


@pytest.mark.parametrize("named", ["of-222222", "never given"])
def test_a_right_pin_with_a_wrong_id_may_be_refused(forged: Forged, named: str) -> None:
    forged.sent("111111")
    forged.sent("222222")
    forged.refused("verify", 401, "111111", named=named)
    forged.refused("verify", 401, "111111", of="bank", named="of-111111")
    assert forged.found() == []


def test_a_right_pin_without_a_guess_left_may_be_refused(forged: Forged) -> None:
    failed(forged, "111111", 5)
    forged.refused("verify", 401, "111111")
    assert forged.found() == []
    assert forged.found(attempts=6) == ["right PIN refused"]


@pytest.mark.parametrize(("status", "found"), [(401, ["right PIN refused"]), (503, []), (0, [])])
def test_a_guess_that_did_not_reach_the_upstream_cannot_have_been_counted(
    forged: Forged, status: int, found: list[str]
) -> None:
    """It may be counted if its outcome is unknown."""
    forged.sent("111111")
    for _ in range(5):
        forged.refused("verify", status, "000000")
    forged.refused("verify", 401, "111111")
    assert forged.found() == found


def test_a_right_pin_after_failures_at_others_may_be_refused(forged: Forged) -> None:
    for number, pin in enumerate(("222222", "333333")):
        forged.sent(pin, of="bank")
        for _ in range(5):
            forged.tried(f"00000{number}", at=pin, of="bank")
    forged.sent("111111")
    forged.refused("verify", 401, "111111")
    assert forged.found() == []
    assert forged.found(failures=11) == ["right PIN refused"]


def test_a_right_pin_that_was_displaced_may_be_refused(forged: Forged) -> None:
    forged.sent("111111")
    for pin in ("222222", "333333", "444444"):
        forged.sent(pin, of="bank")
    forged.refused("verify", 401, "111111")
    assert forged.found() == []
    assert forged.found(side_by_side=4) == ["right PIN refused"]


@pytest.mark.parametrize("what", ["forgotten", "aged", "gone"])
def test_a_right_pin_that_may_have_ended_may_be_refused(forged: Forged, what: str) -> None:
    forged.sent("111111")
    if what == "forgotten":
        forged.forgot()
    elif what == "aged":
        forged.aged(600)
        forged.events.pop()  # it is unknown whether the PIN was made older
    else:
        with forged.client("verify", 401, pin="000000"):
            forged.gone("verify", of="111111", pin="000000")
    forged.refused("verify", 401, "111111")
    assert forged.found() == []


def test_a_right_pin_may_be_refused_before_its_send_is_confirmed(forged: Forged) -> None:
    with forged.client("send", 200):
        forged.sms("111111")
        forged.refused("verify", 401, "111111")
    assert forged.found() == []


def test_a_right_pin_whose_client_is_unknown_may_be_refused(forged: Forged) -> None:
    forged.step = 0.1
    with forged.client("send", 200, of="shop", given="of-shop's"), forged.client("send", 200, of="bank"):
        forged.sms("111111")
        forged.sms("222222")
    forged.refused("verify", 401, "111111", of="shop")
    assert forged.found() == []


def test_a_right_pin_is_the_newest_if_a_later_send_was_refused(forged: Forged) -> None:
    forged.sent("000001", status=504)
    forged.sent("111111")
    forged.refused("send", 429)
    forged.refused("verify", 401, "111111")
    assert forged.found() == [], "a save of the first may have come late"
    forged.events, forged.at = forged.events[4:], forged.at
    assert forged.found() == ["right PIN refused"]


def test_a_right_pin_that_the_upstream_did_not_accept_may_be_refused(forged: Forged) -> None:
    forged.sent("111111")
    with forged.client("verify", 401, pin="111111"):
        forged.guess("111111", of="111111", status=204)
    assert forged.found() == []


@pytest.mark.parametrize("status", [0, 503, 504])
def test_a_right_pin_that_may_not_have_been_saved_may_be_refused(forged: Forged, status: int) -> None:
    """The same holds if it is unknown whether a newer PIN was saved."""
    forged.sent("111111", status=status)
    forged.refused("verify", 401, "111111")
    assert forged.found() == []
    forged.sent("222222")
    forged.refused("send", status)
    forged.refused("verify", 401, "222222")
    assert forged.found() == []


@pytest.mark.parametrize(("window", "found"), [((2, 10.0), ["SMS above a limit"]), ((2, 8.0), []), ((3, 99.0), [])])
def test_an_sms_above_a_limit_is_found(forged: Forged, window: tuple[int, float], found: list[str]) -> None:
    """The sends are at 1, 5 and 9: the third message came at 10, and the first was requested at 1."""
    for pin in ("111111", "222222", "333333"):
        forged.sent(pin)
    assert forged.found(windows=(window,)) == found


@pytest.mark.parametrize(("phone", "found"), [("", []), (PHONE, []), (OTHER, ["SMS above a limit"])])
def test_sends_that_redis_was_made_to_forget_do_not_count(forged: Forged, phone: str, found: list[str]) -> None:
    forged.sent("111111")
    forged.forgot(phone)
    forged.sent("222222")
    assert forged.found(windows=((1, 30.0),)) == found


def test_a_send_without_an_sms_does_not_count(forged: Forged) -> None:
    with forged.client("send", 502):
        forged.no_sms(200)
    forged.sent("111111")
    assert forged.found(windows=((1, 30.0),)) == []


def test_a_cooldown_that_was_made_older_allows_a_send(forged: Forged) -> None:
    forged.sent("111111")
    forged.aged(31)
    forged.sent("222222")
    assert forged.found(windows=((1, 30.0),)) == []


def test_a_500_is_found(forged: Forged) -> None:
    forged.refused("verify", 500)
    assert forged.found() == ["500"]


def test_a_call_without_a_response_is_clean(forged: Forged) -> None:
    forged.events.append(Event(1, "asked", 1, "send", PHONE))
    assert forged.found() == []


def test_a_journal_keeps_the_order_of_many_threads() -> None:
    journal = Journal()

    def write() -> None:
        for _ in range(200):
            journal.answer(journal.ask("send", PHONE), 200)

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


def test_every_rule_is_tested_here() -> None:
    assert len(RULES) == 12
