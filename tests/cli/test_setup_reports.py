"""`flask infobip setup --delivery-reports` makes subscriptions that post to the service, and `check` checks them."""

from pathlib import Path
from typing import Any

import pytest

from cli.account_check.delivery_differences import compare_delivery
from cli.account_setup.subscription_changes import plan_subscriptions
from otp.infobip.subscriptions import Profile, Subscription, Subscriptions
from sandbox.authorization import MANAGE_KEY
from sandbox.subscription_store import PROFILES, ProfileId, ProfileUpdate, SubscriptionUpdate
from tests.cli.test_differences import settings
from tests.support.command import CommandLine
from tests.support.running import Sandbox

NOTHING = "There is nothing to do."
SECRET, OTHER = "reports-secret-0123456789", "reports-secret-9876543210"
OPTION = ("--delivery-reports", "https://otp.example.com/")
URL = "https://otp.example.com/infobip/delivery-reports"


@pytest.fixture
def command(empty: Sandbox, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, INFOBIP_BASE_URL=empty.url, DELIVERY_REPORTS_SECRET=SECRET)


def kept(sandbox: Sandbox, shelf: str) -> list[dict[str, Any]]:
    return [each.to_json() for each in sandbox.two_factor.subscriptions.all(shelf)]


def test_the_subscriptions_are_made_once(empty: Sandbox, command: CommandLine) -> None:
    status, output = command.run("setup", *OPTION, typed="y\n")
    assert (status, SECRET in output, URL in output) == (0, False, True)
    profile = {
        "profileId": "otp-service",
        "webhook": {"notifyUrl": URL},
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "maxBucketSize": 100,
    }
    assert kept(empty, PROFILES) == [profile]
    subscription = {"subscriptionId": "otp-service", "profile": {"profileId": "otp-service"}, "events": ["DELIVERY"]}
    assert kept(empty, "SMS") == kept(empty, "VOICE_VIDEO") == [subscription]
    assert command.run("setup", *OPTION)[1].splitlines()[-1] == NOTHING


def test_the_profile_follows_the_address_and_the_secret(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", *OPTION)
    by_hand = ProfileUpdate(headers={"X-Mine": "1", "authorization": "old"}, max_bucket_size=7)
    empty.two_factor.subscriptions.update(PROFILES, "otp-service", by_hand)
    empty.calls.clear()
    command.run("setup", "--yes", "--delivery-reports", "https://new.example.com", DELIVERY_REPORTS_SECRET=OTHER)
    assert empty.calls[-1] == "/subscriptions/1/profiles/otp-service", "the subscriptions stay as they are"
    (profile,) = kept(empty, PROFILES)
    assert profile["webhook"]["notifyUrl"] == "https://new.example.com/infobip/delivery-reports"
    assert profile["headers"] == {"X-Mine": "1", "Authorization": f"Bearer {OTHER}"}
    assert profile["maxBucketSize"] == 7


def test_a_subscription_that_was_changed_is_updated(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", *OPTION)
    by_hand = SubscriptionUpdate(profile=ProfileId(profile_id="otp-service"), events=["CLICK"], name="Mine")
    empty.two_factor.subscriptions.update("SMS", "otp-service", by_hand)
    assert command.run("setup", "--yes", *OPTION)[0] == 0
    (subscription,) = kept(empty, "SMS")
    assert (subscription["events"], subscription["name"]) == (["CLICK", "DELIVERY"], "Mine")


@pytest.mark.parametrize(
    ("option", "environment", "expected"),
    [
        (OPTION, {"DELIVERY_REPORTS_SECRET": ""}, "Set DELIVERY_REPORTS_SECRET first"),
        (OPTION, {"INFOBIP_API_KEY": MANAGE_KEY}, "give it the scope subscriptions:manage".capitalize()),
        (("--delivery-reports", "http://otp.example.com"), {}, "must be the address of the service"),
        (("--delivery-reports", "https://user@otp.example.com"), {}, "must be the address of the service"),
    ],
)
def test_a_missing_or_invalid_value_is_reported(
    empty: Sandbox, command: CommandLine, option: tuple[str, str], environment: dict[str, str], expected: str
) -> None:
    status, output = command.run("setup", "--yes", *option, **environment)
    assert (bool(status), expected in output) == (True, True), output
    assert (empty.two_factor.applications.all(), kept(empty, PROFILES)) == ([], [])


def test_other_fields_of_a_profile_are_kept() -> None:
    """Infobip's contract has more fields than the service knows. An update sends them unchanged."""
    there = {"profileId": "otp-service", "webhook": {"notifyUrl": f"{URL}/{OTHER}", "contentType": "x"}, "rateLimit": 9}
    plan = plan_subscriptions(Known([{**there, "headers": {"X-Mine": "1"}}]), "https://otp.example.com", SECRET)
    wanted = {"webhook": {"notifyUrl": URL, "contentType": "x"}, "rateLimit": 9, "profileId": "otp-service"}
    headers = {"X-Mine": "1", "Authorization": f"Bearer {SECRET}"}
    assert plan.profile.wanted.payload() == {**wanted, "headers": headers}
    shown = "\n".join(plan.lines())
    assert '/infobip/delivery-reports/***"' in shown
    assert SECRET not in shown
    assert OTHER not in shown


class Known(Subscriptions):
    """The profiles and subscriptions of an account, given by the test instead of read from Infobip."""

    def __init__(self, profiles: list[dict[str, Any]], events: list[Any] | None = None) -> None:
        self._profiles = [Profile.model_validate(each) for each in profiles]
        of = {
            "subscriptionId": "S",
            "profile": {"profileId": "P"},
            "events": ["DELIVERY"] if events is None else events,
        }
        self._those = [Subscription.model_validate(of)]

    def profiles(self) -> list[Profile]:
        return self._profiles

    def of(self, channel: str) -> list[Subscription]:
        return self._those if channel == "SMS" else []


def posts(url: str, **headers: str) -> list[dict[str, Any]]:
    return [{"profileId": "P", "webhook": {"notifyUrl": url}, "headers": headers}]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (Known(posts(URL, authorization=f"Bearer {SECRET}")), "ok: Infobip posts them to the service"),
        (Known(posts(f"{URL}/{SECRET}")), "ok: Infobip posts them to the service"),
        (Known(posts(f"{URL}/{SECRET}"), [{"event": "DELIVERY", "format": "X"}]), "ok: Infobip posts them"),
        (Known(posts(URL, Authorization=f"Bearer {OTHER}")), "warning: Infobip posts them without DELIVERY_REPORTS"),
        (Known(posts(f"{URL}/{OTHER}")), "warning: Infobip posts them without DELIVERY_REPORTS_SECRET"),
        (Known(posts("https://example.org/hook")), "warning: Infobip posts them elsewhere."),
        (Known(posts("https://[", Authorization=f"Bearer {SECRET}")), "warning: Infobip posts them elsewhere."),
        (Known(posts(URL), ["CLICK"]), "warning: Infobip has no subscription"),
        (Known([]), "warning: Infobip has no subscription"),
    ],
)
def test_check_reports_where_infobip_posts(there: Known, expected: str) -> None:
    own = settings(track_delivery=True, delivery_reports_secret=SECRET)
    sms, voice = compare_delivery(own, there)
    assert f"{sms.status}: {sms.sentence}".startswith(expected)
    assert (voice.name, voice.sentence) == ("reports of voice", "Infobip has no subscription that posts them.")
    assert not {SECRET, OTHER} & {*sms.sentence.split(), *sms.remedy.split()}
    assert list(compare_delivery(settings(), there)) == [], "without TRACK_DELIVERY it does not matter"
