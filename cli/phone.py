"""`flask phone`: what is kept of a phone number or an e-mail address, and why it gets no code."""

import json
import math
import time
from collections.abc import Mapping
from typing import Any

import click

from app import Parts, build
from cli.recipient_state import forget_recipient, read_state, unlock_recipient
from cli.terminal import AS_JSON, Sentences, fail, mask
from config import load_settings
from otp.errors import InvalidEmail, InvalidPhoneNumber, OtpError
from otp.recipients import Recipient
from otp.web.send_requests import SendOtp, VerifyOtp

_TO = click.argument("to")


@click.group(cls=Sentences)
def phone() -> None:
    """What is kept of one phone number or e-mail address."""


def _read(parts: Parts, to: str) -> Recipient:
    try:
        return parts.parser.read_recipient(VerifyOtp.model_validate({Recipient.at(to).member: to, "pin": ""}))
    except (InvalidEmail, InvalidPhoneNumber) as e:
        raise click.BadParameter(e.sentence, param_hint="TO") from e


@phone.command()
@_TO
@AS_JSON
def show(to: str, as_json: bool) -> None:
    """Show why TO (+442071838750, or jo@example.com) gets no code. No PIN is shown, and nothing is changed.

    `refused` has the reasons that a send to it would be refused for now, and for how many seconds (null: for good).
    Limits by client address and by client app are not of one number: their reasons are in the request log.
    """
    settings = load_settings()
    parts = build(settings)
    recipient = _read(parts, to)
    state = read_state(parts.redis, settings, recipient)
    refused: Mapping[str, int | None]
    try:
        send_request = parts.parser.read(SendOtp.model_validate({recipient.member: to}))
    except OtpError as e:  # the settings let no send to it through
        refused = {e.code: None}
    else:
        reasons = parts.send_limits.reasons(send_request)
        refused = {str(reason): math.ceil(until - time.time()) for reason, until in reasons.items()}
    known = {"recipient": mask(recipient), "country": recipient.country, "refused": refused, **state}
    click.echo(json.dumps(known, indent=2) if as_json else "\n".join(map(_line, known.items())))


@phone.command()
@_TO
@AS_JSON
def unlock(to: str, as_json: bool) -> None:
    """Let TO have a code again: forget its cooldown, its sends and its failed guesses. Its PINs get no more guesses.

    Exits with 1 if there is nothing to forget. What the guard refuses is lifted by `flask guard lift`.
    """
    parts = build(load_settings())
    recipient = _read(parts, to)
    deleted = unlock_recipient(parts.redis, recipient)
    _report(recipient, deleted, as_json, "is unlocked: cooldown, sends and failed guesses count from zero again.")
    if not deleted:
        fail(f"There is nothing to unlock for {mask(recipient)}. flask phone show says what refuses it.")


@phone.command()
@_TO
@AS_JSON
def forget(to: str, as_json: bool) -> None:
    """Delete all that can be found by TO in Redis, its pending PINs and its limits too.

    "What is kept" in the documentation lists it.
    """
    parts = build(load_settings())
    recipient = _read(parts, to)
    deleted = forget_recipient(parts.redis, recipient)
    _report(recipient, deleted, as_json, f"is forgotten: {deleted} keys were deleted.")
    if not deleted and not as_json:
        click.echo(f"Nothing is kept of {mask(recipient)}.")


def _report(recipient: Recipient, deleted: int, as_json: bool, sentence: str) -> None:
    if as_json:
        click.echo(json.dumps({"recipient": mask(recipient), "deleted": deleted}))
    elif deleted:
        click.echo(f"{mask(recipient)} {sentence}")


def _line(member: tuple[str, Any]) -> str:
    name, value = member
    return f"{name:<10} {_words(value)}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items()) or "no"
    return "; ".join(map(_words, value)) or "no" if isinstance(value, list) else str(value)
