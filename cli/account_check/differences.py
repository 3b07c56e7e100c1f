"""Compares the account at Infobip with the settings: what does not fit, and how to fix it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress

from cli.account_check.language_differences import compare_languages, compare_voice
from cli.account_check.template_differences import compare_template
from cli.account_setup.plan import our_limits
from cli.findings import SETUP, Finding, unknown
from config import AccountSettings, Settings
from otp.durations import Rate, duration, seconds
from otp.infobip.account import Account, Application, Configuration, Template
from otp.infobip.account_errors import AccountError, ApiKeyNotAllowed, NotInAccount

log = logging.getLogger("otp.infobip")


def read_account(account: Account, settings: Settings) -> tuple[Application, dict[str, Template]]:
    """The application that the service uses, and its templates by id. Two GETs.

    Raises:
        AccountError: they cannot be read, or the default template does not exist.
    """
    application = account.application(settings.infobip_2fa_app_id)
    templates = account.templates(settings.infobip_2fa_app_id)
    by_id = {each.message_id: each for each in templates if each.message_id}
    if settings.infobip_2fa_msg_id not in by_id:
        raise NotInAccount
    return application, by_id


def compare(settings: Settings, application: Application, templates: Mapping[str, Template]) -> list[Finding]:
    """All findings about them, including what is ok."""
    configuration = application.configuration
    return [
        _check_enabled(application),
        _time_to_live(settings, configuration),
        _attempts(settings, configuration),
        _multiple_verifications(configuration),
        *_limits(settings, configuration),
        *compare_template(settings, templates[settings.infobip_2fa_msg_id]),
        *compare_languages(settings, templates),
        *compare_voice(settings, templates),
    ]


def log_differences(account: Account, settings: Settings) -> None:
    """Log the differences as warnings. Logs why it cannot compare if Infobip cannot be read."""
    try:
        findings = compare(settings, *read_account(account, settings))
    except ApiKeyNotAllowed:
        log.info("The account was not compared with the settings: the API key may only send")
        return
    except AccountError as e:
        log.warning("The account was not compared with the settings: %s", e.sentence)
        return
    differences = [finding for finding in findings if finding.status != "ok"]
    for finding in differences:
        log.warning("%s: %s (%s)", finding.name, finding.sentence, finding.remedy)
    if not differences:
        log.info("The account at Infobip fits the settings")


def _check_enabled(application: Application) -> Finding:
    if application.enabled is False:
        return Finding("error", "application", "It is not enabled: Infobip sends nothing for it.", SETUP)
    if application.enabled is None:
        return unknown("application")
    return Finding("ok", "application", "It is enabled.")


def _time_to_live(settings: AccountSettings, configuration: Configuration) -> Finding:
    name, ours = "PIN time to live", settings.pin_time_to_live
    theirs = None
    with suppress(ValueError):
        theirs = seconds(configuration.pin_time_to_live or "")
    if theirs is None:
        return unknown(name)
    if theirs == ours:
        return Finding("ok", name, f"It is {duration(ours)} on both sides.")
    remedy = f"{SETUP}, or set PIN_TIME_TO_LIVE={duration(theirs)}"
    if theirs < ours:
        said = f"PINs expire at Infobip after {duration(theirs)}, and the service reports {duration(ours)} to clients."
        return Finding("error", name, said, remedy)
    return Finding(
        "warning", name, f"PINs are valid for {duration(theirs)} at Infobip, and {duration(ours)} here.", remedy
    )


def _attempts(settings: AccountSettings, configuration: Configuration) -> Finding:
    name, ours, theirs = "PIN attempts", settings.pin_attempts, configuration.pin_attempts
    if theirs is None:
        return unknown(name)
    if theirs == ours:
        return Finding("ok", name, f"There are {ours} on both sides.")
    said = f"There are {theirs} at Infobip, and {ours} here; the lower number applies."
    return Finding("warning", name, said, f"{SETUP}, or set PIN_ATTEMPTS={theirs}")


def _multiple_verifications(configuration: Configuration) -> Finding:
    name, allowed = "PIN reuse", configuration.allow_multiple_pin_verifications
    if allowed is None:
        return unknown(name)
    if allowed:
        return Finding("warning", name, "Infobip accepts a PIN more than once; only the service prevents it.", SETUP)
    return Finding("ok", name, "Infobip accepts a PIN once.")


def _limits(settings: AccountSettings, configuration: Configuration) -> Iterator[Finding]:
    names = {
        "send_pin_per_phone_number_limit": ("sends to a phone", "PHONE_SEND_LIMIT"),
        "send_pin_per_application_limit": ("sends in all", "TOTAL_SEND_LIMIT or TOTAL_EMAIL_LIMIT"),
        "verify_pin_limit": ("verifies of a phone", "PIN_ATTEMPTS per RESEND_COOLDOWN"),
    }
    sends_mails = settings.infobip_2fa_email_msg_id is not None
    for field, ours in our_limits(settings, sends_mails=sends_mails).items():
        yield _limit(*names[field], ours, getattr(configuration, field))


def _limit(name: str, setting: str, ours: list[Rate], written: str | None) -> Finding:
    try:
        theirs = Rate.parse(written or "")
    except ValueError:
        return unknown(name)
    allowed = ", ".join(map(str, ours))
    if all(theirs.is_tighter_than(each) for each in ours):
        said = f"Infobip allows {theirs}, and refuses requests that the service allows ({allowed})."
        return Finding("warning", name, said, f"{SETUP}, or lower {setting}")
    return Finding("ok", name, f"Infobip allows {theirs}, the service {allowed}.")
