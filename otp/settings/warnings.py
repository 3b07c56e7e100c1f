"""What settings may be, and had better not be: each start warns of it.

The floors are those of OWASP ASVS 5.0: 20 bits, for which six digits are taken (6.5.4), and ten minutes (6.5.5). Ten
guesses at six digits find the PIN once in 100,000 times.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config import Settings

CALLS = (
    "VOICE_PRICES is not set: a call may cost many times what an SMS does, and is counted like one. "
    "ALLOWED_CHANNELS=sms forbids calls."
)
COUNTRIES = "ALLOWED_COUNTRIES is not set: SMS go to every country, also to those where they cost most."
BUDGETS = "DAILY_BUDGET and MONTHLY_BUDGET are not set: only TOTAL_SEND_LIMIT bounds what messages cost."
GUARDS = {
    "off": "FRAUD_GUARD is off: SMS pumping is neither refused nor noticed.",
    "monitor": "FRAUD_GUARD is monitor: SMS pumping is noticed, and not refused.",
}
LEAST_PINS = 10**6
LONGEST_LIFE = 10 * 60.0  # seconds
MOST_ATTEMPTS = 10
# A letter counts once: nobody knows whether Infobip's PINs have both cases.
_CHARACTERS = {"NUMERIC": 10, "HEX": 16, "ALPHA": 26, "ALPHANUMERIC": 36}


def warnings(settings: "Settings") -> list[str]:
    """A sentence for each setting that is weaker than it should be."""
    pins = _CHARACTERS[settings.pin_type] ** settings.pin_length
    costs_money = not settings.templates.keys().isdisjoint(("sms", "voice"))
    letters_as_typed = settings.pin_type != "NUMERIC" and settings.pin_case is None
    checks = (
        (not settings.named_keys(), "API_KEYS is not set: whoever reaches this service may have it send SMS."),
        (costs_money and not settings.allowed_countries, COUNTRIES),
        (costs_money and not any(settings.budgets), BUDGETS),
        (costs_money and settings.fraud_guard in GUARDS, GUARDS.get(settings.fraud_guard, "")),
        (pins < LEAST_PINS, f"PIN_LENGTH and PIN_TYPE make {pins:,} PINs: fewer than six digits do (20 bits)."),
        (
            settings.pin_time_to_live > LONGEST_LIFE,
            "PIN_TIME_TO_LIVE is over 10m: a PIN should die soon after its use.",
        ),
        (settings.pin_attempts > MOST_ATTEMPTS, "PIN_ATTEMPTS is over 10: a PIN should not be found by guessing."),
        ("voice" in settings.templates and not settings.voice_prices, CALLS),
        (letters_as_typed, "PIN_CASE is not set: a letter that is typed in the other case may cost a guess."),
    )
    return [sentence for is_weak, sentence in checks if is_weak]
