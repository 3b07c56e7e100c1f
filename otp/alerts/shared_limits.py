"""What an operator hears of a limit that many share, once it has no room for anybody."""

from limits import RateLimitItem

from otp.alerts.alert import Alert

# By the reason of the refusals: the setting, and what is not sent.
_SETTINGS = {
    "total_limit": ("TOTAL_SEND_LIMIT", "SMS or calls"),
    "total_email_limit": ("TOTAL_EMAIL_LIMIT", "e-mails"),
    "client_quota": ("CLIENT_LIMITS", "SMS or calls"),
    "client_email_quota": ("CLIENT_LIMITS", "e-mails"),
}


def limit_reached(reason: str, limit: RateLimitItem, client: str = "") -> Alert:
    """Say that `limit` refuses sends, once in its window; one of a `client` app refuses those of that app."""
    setting, messages = _SETTINGS[reason]
    sentence = f"{setting} ({limit}) is used up: no more {messages} for {client or 'anybody'} until there is room."
    window = limit.get_expiry()
    facts: dict[str, str | int] = {"limit": setting, "messages": messages, "amount": limit.amount, "seconds": window}
    if client:
        facts["client"] = client
    subject = f"{reason}:{client or '*'}:{limit.amount}/{window}"
    return Alert("limit.reached", sentence, facts, subject, quiet=window)
