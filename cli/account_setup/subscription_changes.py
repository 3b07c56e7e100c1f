"""Plans the subscriptions by which Infobip posts delivery reports to the service."""

from collections.abc import Iterator
from typing import NamedTuple

from cli.account_setup.changes import Change
from otp.infobip.subscriptions import DELIVERY, TRACKED, Profile, ProfileId, Subscription, Subscriptions
from otp.web.delivery_report_api import PATH

ID = "otp-service"  # of the profile, and of the subscription of each channel
MOST_REPORTS = 100  # in one request; the service reads 256 KiB, which is about 400


class SubscriptionPlan(NamedTuple):
    """The changes of the profile, and of the subscriptions, by Infobip's names of the channels."""

    profile: Change[Profile]
    channels: dict[str, Change[Subscription]]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to change."""
        return not (self.profile.fields or any(change.fields for change in self.channels.values()))

    def lines(self) -> Iterator[str]:
        """What the operator sees."""
        yield from self.profile.lines()
        for change in self.channels.values():
            yield from change.lines()

    def apply(self, subscriptions: Subscriptions) -> None:
        """Change what differs at Infobip.

        Raises:
            AccountError: Infobip refused a change. The next plan finds the changes made before.
        """
        if self.profile.fields:
            subscriptions.save_profile(self.profile.wanted, exists=self.profile.now is not None)
        for channel, change in self.channels.items():
            if change.fields:
                subscriptions.save(channel, change.wanted, exists=change.now is not None)


def plan_subscriptions(subscriptions: Subscriptions, address: str, secret: str) -> SubscriptionPlan:
    """Read the account and return what has to change. `address`: the public URL of the service, without the path.

    Raises:
        AccountError: the account cannot be read.
    """
    profile = next((each for each in subscriptions.profiles() if each.profile_id == ID), None)
    changes = {channel: _subscription(subscriptions.of(channel), channel) for channel in TRACKED.values()}
    return SubscriptionPlan(_profile(profile, address + PATH, secret), changes)


def _profile(now: Profile | None, url: str, secret: str) -> Change[Profile]:
    like = now or Profile(profile_id=ID, max_bucket_size=MOST_REPORTS)
    others = {name: value for name, value in (like.headers or {}).items() if name.lower() != "authorization"}
    new = {
        "webhook": like.webhook.model_copy(update={"notify_url": url}),
        "headers": {**others, "Authorization": f"Bearer {secret}"},
    }
    return Change("profile of delivery reports", now, like.model_copy(update=new))


def _subscription(those: list[Subscription], channel: str) -> Change[Subscription]:
    now = next((each for each in those if each.subscription_id == ID), None)
    like = now or Subscription(subscription_id=ID)
    events = like.events if like.has_deliveries else (*like.events, DELIVERY)
    new = {"profile": ProfileId(profile_id=ID), "events": events}
    return Change(f"subscription of {channel}", now, like.model_copy(update=new))
