"""Infobip's subscriptions: to which URL it posts the delivery reports of the account.

The operations need an API key with the scope subscriptions:manage. Source: Infobip's Subscriptions API.
A profile has the URL and the headers; a subscription has the events of a channel, and names a profile.
"""

from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field

from otp.channels import CHANNELS
from otp.infobip.account import Account, Part
from otp.infobip.account_errors import ApiKeyNotAllowed, SubscriptionsNotAllowed

TRACKED = {name: channel.tracked_as for name, channel in CHANNELS.items() if channel.tracked_as}
DELIVERY = "DELIVERY"
_PROFILES, _SUBSCRIPTIONS = "/subscriptions/1/profiles", "/subscriptions/1/subscription"
_PAGE = "?size=100"  # the largest one

_Id = Annotated[str, Field(pattern="^[A-Za-z0-9._~-]{1,255}$")]  # it becomes a part of a path


class _Kept(Part):
    """An update sends the fields that are not named here as Infobip has them."""

    model_config = ConfigDict(extra="allow")


class Webhook(_Kept):
    """`notify_url` may contain a secret."""

    notify_url: str = ""


class Profile(_Kept):
    """ProfileRequest and ProfileResponse; `headers` are sent with each report, and may contain a secret."""

    profile_id: _Id | None = None
    webhook: Webhook = Webhook()
    headers: dict[str, str] | None = None
    max_bucket_size: int | None = None


class ProfileId(Part):
    """IdOnlyProfileRequest."""

    profile_id: _Id | None = None


class Subscription(_Kept):
    """The subscription to events of one channel. An event is a name, or an object with a format."""

    subscription_id: _Id | None = None
    profile: ProfileId = ProfileId()
    events: tuple[Any, ...] = ()

    @property
    def has_deliveries(self) -> bool:
        """Whether deliveries are among its events."""
        return DELIVERY in [event.get("event") if isinstance(event, dict) else event for event in self.events]


class _Page(Part):
    results: tuple[Any, ...] = ()


_P = TypeVar("_P", Profile, Subscription)


class Subscriptions:
    """The profiles and subscriptions of the account. Of each list, the first 100 are read."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def profiles(self) -> list[Profile]:
        """All notification profiles."""
        return self._list(Profile, _PROFILES)

    def of(self, channel: str) -> list[Subscription]:
        """All subscriptions of a channel, by Infobip's name of it."""
        return self._list(Subscription, f"{_SUBSCRIPTIONS}/{channel}")

    def save_profile(self, profile: Profile, *, exists: bool) -> None:
        """Create a profile with its id, or update it."""
        self._save(profile, _PROFILES, "profileId", exists=exists)

    def save(self, channel: str, subscription: Subscription, *, exists: bool) -> None:
        """Create a subscription with its id, or update it."""
        self._save(subscription, f"{_SUBSCRIPTIONS}/{channel}", "subscriptionId", exists=exists)

    def _list(self, model: type[_P], path: str) -> list[_P]:
        page = self._request(_Page, "GET", path + _PAGE)
        return [model.model_validate(each) for each in page.results if isinstance(each, dict)]

    def _save(self, part: _P, path: str, name: str, *, exists: bool) -> None:
        payload = part.payload()
        if exists:
            path += f"/{payload.pop(name)}"
        self._request(Part, "PUT" if exists else "POST", path, payload)

    def _request(self, model: Any, method: str, path: str, payload: dict[str, Any] | None = None) -> Any:
        try:
            return self._account.request(model, method, path, payload)
        except ApiKeyNotAllowed as e:
            raise SubscriptionsNotAllowed from e
