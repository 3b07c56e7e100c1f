"""Every alert that the service sends: its type, its sentence for people, and its facts for programs."""

from decimal import Decimal

from limits import RateLimitItem

from otp.alerts.alert import Alert
from otp.errors import Reason
from otp.infobip.delivery_reports import Charge

DAY = 86400  # seconds

# By the reason of the refusals: the setting, and what is not sent.
_LIMITS = {
    Reason.TOTAL_LIMIT: ("TOTAL_SEND_LIMIT", "SMS or calls"),
    Reason.TOTAL_EMAIL_LIMIT: ("TOTAL_EMAIL_LIMIT", "e-mails"),
    Reason.CLIENT_QUOTA: ("CLIENT_LIMITS", "SMS or calls"),
    Reason.CLIENT_EMAIL_QUOTA: ("CLIENT_LIMITS", "e-mails"),
}


def budget_threshold(currency: str, period: str, percent: int, amount: int) -> Alert:
    """`percent` % of the budget of `period` (2026-11-23, or 2026-11) is spent; `amount` is in millionths."""
    budget = format_amount(amount)
    sentence = f"{percent} % of the budget for {period} ({budget} {currency}) is spent."
    if percent == 100:
        sentence = f"The budget for {period} ({budget} {currency}) is used up: what it cannot pay is not sent."
    facts: dict[str, str | int] = {"period": period, "percent": percent, "budget": budget, "currency": currency}
    return Alert("budget.threshold", sentence, facts, subject=f"{period}:{percent}")


def credentials_refused(status: int) -> Alert:
    """Infobip refused the API key with this status."""
    sentence = "Infobip refuses the API key, or what it is used for: nothing can be sent or verified."
    return Alert("provider.credentials_refused", sentence, {"status": status})


def limit_reached(reason: Reason, limit: RateLimitItem, client: str = "") -> Alert:
    """A limit that many share refuses sends; that of a `client` app, if one is named. Sent once in its window."""
    setting, messages = _LIMITS[reason]
    sentence = f"{setting} ({limit}) is used up: no more {messages} for {client or 'anybody'} until there is room."
    window = limit.get_expiry()
    facts: dict[str, str | int] = {"limit": setting, "messages": messages, "amount": limit.amount, "seconds": window}
    if client:
        facts["client"] = client
    subject = f"{reason}:{client or '*'}:{limit.amount}/{window}"
    return Alert("limit.reached", sentence, facts, subject, quiet=window)


def guard_refusals(refusals: int, minutes: int) -> Alert:
    """`refusals` sends had no room in the fraud guard."""
    sentence = f"{refusals} sends were refused in {minutes} minutes because they look like SMS pumping."
    return Alert("guard.refusals", sentence, {"refusals": refusals, "minutes": minutes})


def guesses_locked_out(guesses: int, minutes: int) -> Alert:
    """`guesses` were refused because the recipient is locked out."""
    sentence = f"{guesses} guesses were refused in {minutes} minutes: too many at the same recipient had failed."
    return Alert("guesses.locked_out", sentence, {"guesses": guesses, "minutes": minutes})


def wrong_pins(wrong: int, checked: int, minutes: int) -> Alert:
    """`wrong` of the `checked` PINs were wrong."""
    sentence = f"{wrong} of {checked} PINs were wrong in {minutes} minutes: somebody may be guessing."
    return Alert("pins.wrong", sentence, {"wrong": wrong, "verdicts": checked, "minutes": minutes})


def failed_verifies(kind: str, failed: int, fingerprint: str, masked: str) -> Alert:
    """`failed` verifies in this hour at one recipient, or from one address: the worst of its `kind`."""
    where = f"at {masked}" if kind == "recipient" else f"from {masked}"
    sentence = f"{failed} verifies {where} failed within an hour: somebody may be guessing."
    return Alert(f"verifies.{kind}", sentence, {"failed": failed, kind: masked, "fingerprint": fingerprint})


def prices_differ(currency: str, charge: Charge, channel: str, country: str, counted: int) -> Alert:
    """Infobip charges clearly more for a message than is `counted` (millionths of `currency`). Sent once in a day."""
    charged, ours = format_amount(charge.amount), format_amount(counted)
    sentence = (
        f"Infobip charged {charged} {charge.currency} for a message ({channel}, {country}), and {ours} {currency} is "
        "counted: budgets allow more than they should. Correct SMS_PRICES or VOICE_PRICES."
    )
    facts: dict[str, str | int] = {"charged": charged, "chargedCurrency": charge.currency}
    facts |= {"counted": ours, "currency": currency, "channel": channel, "country": country}
    return Alert("prices.differ", sentence, facts, subject=f"{channel}:{country}", quiet=DAY)


def format_amount(millionths: int) -> str:
    """An amount of money as people write it: 0.08, 12.50, 100.00."""
    amount = f"{Decimal(millionths) / 1_000_000:.6f}"
    return amount[:-4] + amount[-4:].rstrip("0")
