"""`flask guard`: shows what the guard against SMS pumping refuses now, lifts blocks, and sets some by hand."""

import math
import time
from contextlib import suppress
from typing import Literal

import click

from cli.guard_scopes import is_number, read_scope
from cli.terminal import Sentences, fail, mask
from config import load_settings
from otp.durations import duration, seconds
from otp.recipients import Recipient, other_prefixes
from otp.redis.client import RedisClient, connect
from otp.send_limits.fraud_guard.blocks import blocks, unblock
from otp.send_limits.fraud_guard.scopes import SCRIPTS
from otp.send_limits.operator_rules import KINDS, LONGEST, MOST_RULES, TooManyRules, remove_rule, rules, set_rule

REASONS = {
    "pending": "too many sends at once, before anybody could verify them",
    "hour": "too many sends of the last hour were not verified",
    "day": "too many sends of the last day were not verified",
    "countries": "unverified sends to too many countries",
    "block": "blocked by hand: nothing is sent there",
    "trust": "trusted by hand: the guard does not refuse it",
}
UNKNOWN_REASON = "for a reason that this version does not know"


@click.group(cls=Sentences, invoke_without_command=True)
@click.pass_context
def guard(context: click.Context) -> None:
    """Show what is refused now and why, by the guard or by hand, and what is trusted by hand."""
    if context.invoked_subcommand is None:
        _show(_redis())


@guard.command("lift")
@click.argument("kind", type=click.Choice([*SCRIPTS, "phone"]))
@click.argument("which")
def unblock_scope(kind: str, which: str) -> None:
    """Lift the block of a country (DE), a prefix (+4915112345) or an address: its unverified sends are forgiven.

    A rule set by hand for a prefix or a phone is removed.
    Write the address of a client app's end user with the app's name: shop/192.0.2.1. Exits with 0, with 1 if there is
    nothing to forgive or Redis fails, or with 2 if KIND and WHICH name no country, prefix or address.
    """
    scope, redis = _read(kind, which), _redis()
    was_set = kind in KINDS and remove_rule(redis, kind, scope)
    forgiven = kind in SCRIPTS and unblock(redis, kind, scope)
    shown = f"{kind} {_mask_scope(kind, scope)}"
    if not was_set and not forgiven:
        fail(f"There is nothing to forgive for {shown}. flask guard shows what is refused.")
    if was_set:
        click.echo(f"What was set by hand for {shown} is lifted.")
    if forgiven:
        click.echo(f"The unverified sends for {shown} are forgiven. The guard counts from zero again.")


def _read_lifetime(_: click.Context, __: click.Parameter, text: str) -> float:
    with suppress(ValueError):
        if 1 <= (lifetime := seconds(text)) <= LONGEST:
            return lifetime
    raise click.BadParameter(f"must be a duration like 30m, 24h or 7d, of at most {duration(LONGEST)}")


_KIND = click.argument("kind", type=click.Choice(KINDS))
_WHICH = click.argument("which")
_FOR = click.option(
    "--for", "lifetime", default="24h", show_default=True, callback=_read_lifetime, help="How long: 30m, 24h, 7d."
)


@guard.command()
@_KIND
@_WHICH
@_FOR
def block(kind: str, which: str, lifetime: float) -> None:
    """Send nothing to a phone, or to all numbers of a prefix (+99890), for a while. It holds with FRAUD_GUARD=off, too.

    Of several rules for a number the one with the longest WHICH decides. Exits with 0, with 1 if Redis fails, or with
    2 if there is no such phone or prefix.
    """
    _set("block", kind, which, lifetime)


@guard.command()
@_KIND
@_WHICH
@_FOR
def trust(kind: str, which: str, lifetime: float) -> None:
    """Let a phone, or the numbers of a prefix, pass the guard for a while. All other limits hold.

    Exits as `block` does.
    """
    _set("trust", kind, which, lifetime)


def _set(verdict: Literal["block", "trust"], kind: str, which: str, lifetime: float) -> None:
    scope = _read(kind, which)
    try:
        set_rule(_redis(), verdict, kind, scope, lifetime)
    except TooManyRules:
        fail(f"{MOST_RULES} rules are set by hand, and no more fit. Lift some, or set prefixes instead of phones.")
    click.echo(f"{kind} {_mask_scope(kind, scope)} is {REASONS[verdict]}, for {duration(lifetime)}.")
    if kind == "prefix" and (others := other_prefixes(scope)):
        click.echo(
            f"Some of its numbers are counted as those of {' and '.join(others)}, which have rules of their own."
        )


def _read(kind: str, which: str) -> str:
    try:
        return read_scope(kind, which)
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint=kind) from e


def _mask_scope(kind: str, scope: str) -> str:
    return mask(Recipient("phone", scope)) if kind == "phone" or (kind == "prefix" and is_number(scope)) else scope


def _redis() -> RedisClient:
    settings = load_settings()
    return connect(settings.redis_url.get_secret_value(), settings.key_prefix)


def _show(redis: RedisClient) -> None:
    found = [
        each._replace(which=_mask_scope(each.kind, each.which)) for each in (*blocks(redis), *rules(redis, time.time()))
    ]
    for each in found:
        minutes = math.ceil((each.until - time.time()) / 60)
        click.echo(f"{each.kind:<8} {each.which:<20} {minutes:>6} min  {REASONS.get(each.why, UNKNOWN_REASON)}")
    hint = next(
        (f"\nflask guard lift {each.kind} {each.which}   lifts it." for each in found if "*" not in each.which), ""
    )
    click.echo(hint if found else "Nothing is refused.")
