"""What every gate judges: an SMS that somebody asks for."""

import secrets
import time
from dataclasses import dataclass, field
from functools import cached_property

from phone import region_of


@dataclass(frozen=True)
class Sending:
    """An SMS that somebody asks for. `phone` is E.164, `address` the client's (or its network); "" if unknown.

    `client` is the name of the client app; "" for one without a key. `at` is in Unix seconds: what is undone later
    is taken from the day, and the minute, that it was counted in.
    """

    phone: str
    address: str = ""
    client: str = field(default="", kw_only=True)
    at: float = field(default_factory=time.time, kw_only=True)
    reservation: str = field(default_factory=lambda: secrets.token_hex(8))

    @cached_property
    def region(self) -> str:
        """The phone's ISO 3166 region; "" if it has none."""
        return region_of(self.phone)
