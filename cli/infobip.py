"""`flask infobip`: sets up the account at Infobip, checks it, and tries it out."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from dotenv import dotenv_values

from app import account, build
from cli.account_check.delivery_differences import compare_delivery
from cli.account_check.differences import compare, read_account
from cli.account_setup import env_file
from cli.account_setup.autofill import PIN
from cli.account_setup.message_texts import FILE, read_message_texts
from cli.account_setup.plan import NAME, Plan, plan
from cli.account_setup.subscription_changes import SubscriptionPlan, plan_subscriptions
from cli.account_setup.template_changes import TEXT, SetupOptions
from cli.check_settings import settings_findings
from cli.findings import Finding
from cli.redis_checks import examine_redis
from cli.terminal import AS_JSON, Sentences, fail, show_findings
from config import AccountSettings, Settings, load, load_settings
from otp.channels import CHANNELS
from otp.durations import duration
from otp.infobip.account import Account
from otp.infobip.account_errors import AccountError, ApiKeyNotAllowed
from otp.infobip.subscriptions import Subscriptions
from otp.languages import is_locale, voice_language
from otp.recipients import Recipient
from otp.requester import NOBODY
from otp.send_request import SendRequest
from otp.service import OtpService, Sent
from otp.setting_sources import ENV_FILE
from otp.typed_text import read_pin
from otp.web.send_requests import SendOtp, VerifyOtp

EXIT = {"ok": 0, "warning": 1, "error": 2}


@click.group(cls=Sentences)
def infobip() -> None:
    """The 2FA account at Infobip: set it up, check it, try it out."""


def _require_pin(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None and PIN not in text:
        raise click.BadParameter(f"must have {PIN} in it")
    return text


def _require_voice(_: click.Context, __: click.Parameter, language: str | None) -> str | None:
    if language is not None and not (is_locale(language) and voice_language(language)):
        raise click.BadParameter("must be a tag of BCP 47, like de, of a language for which Infobip has a voice")
    return language


def _require_https(_: click.Context, __: click.Parameter, address: str | None) -> str | None:
    if address is not None and not re.fullmatch("https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", address):
        raise click.BadParameter("must be the address of the service, like https://otp.example.com")
    return address and address.rstrip("/")


def _read_languages(_: click.Context, __: click.Parameter, given: str) -> SetupOptions:
    """The languages of the option, and the texts of all languages."""
    try:
        texts = read_message_texts()
    except ValueError as e:
        fail(f"{e}.")
    languages = [*texts] if given == "all" else [each.strip() for each in given.split(",") if each.strip()]
    if unknown := [each for each in languages if each not in texts]:
        raise click.BadParameter(f"{FILE.name} has no {', '.join(unknown)}; it has {', '.join(texts)}")
    return SetupOptions(languages=languages, message_texts=texts)


@infobip.command()
@click.option("--name", help=f"The application's name.  [default: as it is, or {NAME!r}]")
@click.option("--text", callback=_require_pin, help=f"The text of the SMS.  [default: as it is, or {TEXT!r}]")
@click.option("--sender", help="The sender of the SMS.  [default: as it is, or what Infobip chooses]")
@click.option(
    "--language",
    callback=_require_voice,
    help="The default template's language, like de: calls read it so, and a new one has its text.  [default: as it is]",
)
@click.option(
    "--languages",
    "options",
    default="",
    callback=_read_languages,
    help=f"Languages of {FILE.name}, like de,fr, or all.  [default: those in INFOBIP_TEMPLATES, as they are]",
)
@click.option("--voice", is_flag=True, help="Calls get templates of their own, in the same languages.")
@click.option(
    "--voice-text",
    callback=_require_pin,
    help="The text of calls.  [default: as it is, or that of the SMS, without the line for phones]",
)
@click.option("--speech-rate", type=click.FloatRange(0.5, 2), help="How fast calls are read, 1 is normal.")
@click.option("--repeat-dtmf", help="The keys that repeat the message of a call, like 1#.")
@click.option(
    "--email-template",
    type=click.IntRange(min=1),
    help="The id of a template for e-mails in Infobip's portal: e-mails get a template with it.  [default: as it is]",
)
@click.option("--email-sender", help="The sender of e-mails, like Shop <codes@example.com>.  [default: as it is]")
@click.option(
    "--delivery-reports",
    callback=_require_https,
    help="The service's public address, like https://otp.example.com: Infobip posts the delivery reports there.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be sent.")
def setup(options: SetupOptions, *, delivery_reports: str | None, yes: bool, dry_run: bool, **given: Any) -> None:
    """Create or update the application and its message templates, and write their ids into .env."""
    settings = load(AccountSettings)
    infobip_account = account(settings)
    click.echo(f"Infobip: {settings.infobip_base_url}\n")
    changes = plan(settings, infobip_account, options._replace(**given))
    reports = _plan_reports(settings, Subscriptions(infobip_account), delivery_reports)
    click.echo("\n".join([*changes.lines(), *(reports.lines() if reports else ())]))
    if changes.is_empty and (reports is None or reports.is_empty):
        click.echo("\nThere is nothing to do.")
    elif dry_run:
        click.echo("\nNothing was changed (--dry-run).")
    elif yes or click.confirm("\nDo this?"):
        _apply(infobip_account, changes, reports)
    else:
        fail("Nothing was changed.")


def _apply(infobip_account: Account, changes: Plan, reports: SubscriptionPlan | None) -> None:
    ids = changes.apply(infobip_account)
    try:
        if reports:
            reports.apply(Subscriptions(infobip_account))
    finally:
        _write_env_file(ids)


def _plan_reports(settings: AccountSettings, of: Subscriptions, address: str | None) -> SubscriptionPlan | None:
    if address is None:
        return None
    if not (secret := settings.delivery_reports_secret.get_secret_value()):
        fail("Set DELIVERY_REPORTS_SECRET first, which authenticates the reports: openssl rand -hex 24 makes one.")
    return plan_subscriptions(of, address, secret)


def _write_env_file(ids: dict[str, str]) -> None:
    lines = "\n".join(f"  {name}={value}" for name, value in ids.items())
    in_file = dotenv_values(ENV_FILE)
    overridden = [name for name in ids if os.environ.get(name) not in (None, "", in_file.get(name), ids[name])]
    try:
        env_file.write(Path(ENV_FILE), ids)
    except (OSError, UnicodeError) as e:
        fail(f"\nInfobip has them now. {ENV_FILE} cannot be written ({type(e).__name__}): set these yourself.\n{lines}")
    click.echo(f"\nDone. {ENV_FILE} has:\n{lines}")
    if overridden:
        fail(f"The environment overrides {ENV_FILE} with other values: change {' and '.join(overridden)} there too.")


@infobip.command()
@AS_JSON
def check(as_json: bool) -> None:
    """Compare the account and Redis with the settings. Exits with 0 (all is well), 1 (warnings) or 2 (errors)."""
    statuses = show_findings(_findings(), as_json)
    raise SystemExit(max(EXIT[status] for status in statuses))


def _findings() -> Iterator[Finding]:
    settings = yield from settings_findings()
    if settings:
        yield from _account_findings(settings)
        parts = build(settings)
        yield from examine_redis(parts.redis, parts.store, settings)


def _account_findings(settings: Settings) -> Iterator[Finding]:
    infobip_account = account(settings)
    try:
        application, templates = read_account(infobip_account, settings)
    except AccountError as e:
        yield Finding("warning" if isinstance(e, ApiKeyNotAllowed) else "error", "account", e.sentence, e.remedy)
        return
    yield Finding("ok", "account", "The API key is valid, and shows the application and its templates.")
    yield from compare(settings, application, templates)
    yield from compare_delivery(settings, Subscriptions(infobip_account))


_CHANNEL = click.option("--channel", help=f"{', '.join(CHANNELS)}.  [default: sms, or email to an e-mail address]")


@infobip.command()
@click.argument("to")
@_CHANNEL
def send(to: str, channel: str | None) -> None:
    """Send a PIN to TO (a phone like +14155552671, or an e-mail address), as the service does. It counts and costs."""
    _send(to, channel, OtpService.send)


@infobip.command()
@click.argument("to")
@_CHANNEL
def resend(to: str, channel: str | None) -> None:
    """Send the pending PIN again, as the service does."""
    _send(to, channel, OtpService.resend)


def _send(to: str, channel: str | None, verb: Callable[[OtpService, SendRequest], Sent]) -> None:
    parts = build(load_settings())
    send_request = parts.parser.read(SendOtp.model_validate({Recipient.at(to).member: to, "channel": channel}))
    lifetime = duration(max(1, int(verb(parts.otp, send_request).expires_in)))
    click.echo(f"OTP sent successfully. It is valid for {lifetime}.")


@infobip.command()
@click.argument("to")
@click.argument("pin")
def verify(to: str, pin: str) -> None:
    """Verify the PIN that TO received, as the service does. It counts as an attempt."""
    settings = load_settings()
    parts = build(settings)
    recipient = parts.parser.read_recipient(VerifyOtp.model_validate({Recipient.at(to).member: to, "pin": pin}))
    parts.otp.verify(recipient, read_pin(pin, settings.pin_pattern), NOBODY)
    click.echo("OTP verified successfully.")
