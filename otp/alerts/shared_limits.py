"""What an operator hears of a limit that many share, once it has no room for anybody."""

from limits import RateLimitItem

from otp.alerts.alert import Alert
from otp.errors import Reason

# By the reason of the refusals: the setting, and what is not sent.
_SETTINGS = {
    Reason.TOTAL_LIMIT: ("TOTAL_SEND_LIMIT", "SMS or calls"),
    Reason.TOTAL_EMAIL_LIMIT: ("TOTAL_EMAIL_LIMIT", "e-mails"),
    Reason.CLIENT_QUOTA: ("CLIENT_LIMITS", "SMS or calls"),
    Reason.CLIENT_EMAIL_QUOTA: ("CLIENT_LIMITS", "e-mails"),
}


def limit_reached(reason: Reason, limit: RateLimitItem, client: str = "") -> Alert:
    """Say that `limit` refuses sends, once in its window; one of a `client` app refuses those of that app."""
    setting, messages = _SETTINGS[reason]
    sentence = f"{setting} ({limit}) is used up: no more {messages} for {client or 'anybody'} until there is room."
    window = limit.get_expiry()
    facts: dict[str, str | int] = {"limit": setting, "messages": messages, "amount": limit.amount, "seconds": window}
    if client:
        facts["client"] = client
    subject = f"{reason}:{client or '*'}:{limit.amount}/{window}"
    return Alert("limit.reached", sentence, facts, subject, quiet=window)
