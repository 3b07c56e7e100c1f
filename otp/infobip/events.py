"""Who wants to know how it goes with Infobip."""

from typing import Protocol


class InfobipEvents(Protocol):
    """Is told what the answers say of the whole, never of a phone or a PIN. Must not block."""

    def pin_checked(self, right: bool) -> None:
        """A PIN was judged."""

    def credentials_refused(self, status: int) -> None:
        """The API key was refused, with a 401 or a 403."""
