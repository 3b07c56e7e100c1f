"""What a client of Infobip reports about the provider as a whole."""

from typing import Protocol


class InfobipEvents(Protocol):
    """Receives events that contain neither a phone number nor a PIN. The methods must not block."""

    def pin_checked(self, right: bool) -> None:
        """Infobip checked a PIN; `right` says whether it accepted it."""

    def credentials_refused(self, status: int) -> None:
        """Infobip refused the API key with `status`, 401 or 403."""
