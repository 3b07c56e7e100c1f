"""Commands report errors as sentences, without tracebacks."""

import json
import math
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import click

from cli.findings import Finding
from config import SettingsError, load_settings
from otp.errors import OtpError, StoreUnavailable
from otp.infobip.account_errors import AccountError
from otp.recipients import Recipient
from otp.redis.administration import CommandRefused
from otp.redis.diagnosis import diagnose
from otp.telemetry.masking import Mask

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
INTERRUPTED = 130  # the exit status of shells after Ctrl-C


class Sentences(click.Group):
    """A group whose commands end with a sentence when they fail."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            fail("\nStopped.", INTERRUPTED)
        except SettingsError as e:
            fail(str(e))
        except (StoreUnavailable, CommandRefused) as e:
            found = diagnose(load_settings().redis_url.get_secret_value(), e)
            fail(f"Redis failed. {found.sentence} Remedy: {found.remedy}.")
        except AccountError as e:
            fail(f"{e.sentence} {e.remedy[:1].upper()}{e.remedy[1:]}." if e.remedy else e.sentence)
        except OtpError as e:
            wait = "" if e.retry_after is None else f" (in {max(1, math.ceil(e.retry_after))} s)"
            fail(f"{e.sentence}{wait}")


def fail(sentence: str, status: int = 1) -> NoReturn:
    """Print `sentence` to the standard error and exit with `status`."""
    click.echo(sentence, err=True)
    raise SystemExit(status)


def show_findings(findings: Iterable[Finding], as_json: bool) -> list[str]:
    """Print each finding as soon as it is there, or all as one JSON array; returns their statuses."""
    shown = []
    for finding in findings:
        shown.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in shown], indent=2))
    return [finding.status for finding in shown]


def _show(finding: Finding) -> None:
    colour = {"ok": "green", "warning": "yellow", "error": "red"}[finding.status]
    remedy = f" Remedy: {finding.remedy}." if finding.remedy else ""
    click.echo(f"{click.style(f'{finding.status:<8}', fg=colour)} {finding.name:<20} {finding.sentence}{remedy}")


def mask(recipient: Recipient) -> str:
    """The recipient for the standard output: whole on a terminal, masked where it may go to a log."""
    return recipient.address if sys.stdout and sys.stdout.isatty() else str(Mask("").of(recipient).masked)
