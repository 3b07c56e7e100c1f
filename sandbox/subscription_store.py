"""Infobip's subscriptions and their profiles, as far as `flask infobip` needs them. Nothing is posted by them.

Names, types and bounds are those of the published contract (Subscriptions API, version 1).
"""

import threading
from typing import Annotated, Any

from pydantic import Field

from sandbox.api_error import bad_request, not_found
from sandbox.model import Wire

KEPT = 100  # the largest number of profiles, and of subscriptions of a channel
CHANNELS = ("SMS", "VOICE_VIDEO")  # of the contract's; those with delivery reports of PINs
PROFILES = "profiles"

Id = Annotated[str, Field(pattern="^[A-Za-z0-9._~-]{1,255}$")]


class Webhook(Wire):
    """Where a profile posts."""

    notify_url: Annotated[str, Field(max_length=512)]
    content_type: Annotated[str, Field(max_length=255)] | None = None


class ProfileUpdate(Wire):
    """NoIdProfileRequest, without the security settings."""

    webhook: Webhook | None = None
    headers: dict[str, str] | None = None
    max_bucket_size: int | None = Field(None, ge=1, le=2000)


class Profile(ProfileUpdate):
    """ProfileRequest and ProfileResponse."""

    profile_id: Id


class ProfileId(Wire):
    """IdOnlyProfileRequest."""

    profile_id: Id


class SubscriptionUpdate(Wire):
    """NoIdSubscriptionRequest of any channel."""

    profile: ProfileId
    events: Annotated[list[Any], Field(max_length=255)]
    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Subscription(SubscriptionUpdate):
    """The request that creates a subscription with a known profile, and SubscriptionResponse."""

    subscription_id: Id


class Subscriptions:
    """A shelf of profiles, and one of the subscriptions of each channel, by id. All methods are thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shelves: dict[str, dict[str, Profile | Subscription]] = {name: {} for name in (PROFILES, *CHANNELS)}

    def all(self, shelf: str) -> list[Profile | Subscription]:
        """All of a shelf, the oldest first."""
        with self._lock:
            return list(self._shelf(shelf).values())

    def create(self, shelf: str, its_id: str, new: Profile | Subscription) -> None:
        """Keep a new one. Raises ApiError 400 if the id is taken."""
        with self._lock:
            if its_id in (there := self._shelf(shelf)) or len(there) >= KEPT:
                raise bad_request(id=f"is taken, or the sandbox has {KEPT} already")
            self._keep(shelf, its_id, new)

    def update(self, shelf: str, its_id: str, new: ProfileUpdate | SubscriptionUpdate) -> None:
        """Update one; omitted fields keep their values. Raises ApiError 404 if there is none."""
        with self._lock:
            if (old := self._shelf(shelf).get(its_id)) is None:
                raise not_found()
            self._keep(shelf, its_id, old.copy_with(new.explicit_values()))

    def _keep(self, shelf: str, its_id: str, new: Profile | Subscription) -> None:
        if isinstance(new, Subscription) and new.profile.profile_id not in self._shelf(PROFILES):
            raise bad_request(profile="there is no such profile")
        self._shelf(shelf)[its_id] = new

    def _shelf(self, name: str) -> dict[str, Profile | Subscription]:
        if name not in self._shelves:
            raise not_found()
        return self._shelves[name]
