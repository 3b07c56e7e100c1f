"""Compares the subscriptions at Infobip with the settings: whether its delivery reports reach the service."""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from cli.findings import SETUP, Finding
from config import Settings
from otp.infobip.account_errors import AccountError
from otp.infobip.subscriptions import TRACKED, Profile, Subscription, Subscriptions
from otp.web.delivery_report_api import PATH

_REMEDY = f"{SETUP} --delivery-reports with the service's address"


def compare_delivery(settings: Settings, subscriptions: Subscriptions) -> Iterator[Finding]:
    """A finding for each channel whose delivery is tracked, or why Infobip cannot be read."""
    channels = [channel for channel in TRACKED if channel in settings.templates] if settings.track_delivery else []
    secret = settings.delivery_reports_secret.get_secret_value()
    try:
        profiles = subscriptions.profiles() if channels else []
        for channel in channels:
            yield _compare(channel, _delivery_profiles(subscriptions.of(TRACKED[channel]), profiles), secret)
    except AccountError as e:
        yield Finding("warning", "delivery reports", e.sentence, e.remedy)


def knows_secret(profile: Profile, secret: str) -> bool:
    """Whether the service takes what is posted: the secret is a bearer token, or the end of the path."""
    headers = {name.lower(): value for name, value in (profile.headers or {}).items()}
    return _path(profile) == f"{PATH}/{secret}" or headers.get("authorization") == f"Bearer {secret}"


def _delivery_profiles(subscriptions: Iterable[Subscription], profiles: Iterable[Profile]) -> list[Profile]:
    its_ids = {each.profile.profile_id for each in subscriptions if each.has_deliveries}
    return [each for each in profiles if each.profile_id and each.profile_id in its_ids]


def _compare(channel: str, profiles: list[Profile], secret: str) -> Finding:
    name = f"reports of {channel}"
    here = [each for each in profiles if PATH in _path(each)]
    if any(knows_secret(each, secret) for each in here):
        return Finding("ok", name, "Infobip posts them to the service, with its secret.")
    if here:
        return Finding("warning", name, "Infobip posts them without DELIVERY_REPORTS_SECRET, or with another.", _REMEDY)
    said = "posts them elsewhere" if profiles else "has no subscription that posts them"
    return Finding("warning", name, f"Infobip {said}.", _REMEDY)


def _path(profile: Profile) -> str:
    try:
        return urlsplit(profile.webhook.notify_url).path.rstrip("/")
    except ValueError:
        return ""
