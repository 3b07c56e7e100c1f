"""`flask guard`: shows what the guard against SMS pumping refuses now, and lifts blocks."""

import math
import time

import click

from cli.guard_scopes import read_scope
from cli.terminal import Sentences, fail
from config import load_settings
from otp.redis.client import RedisClient, connect
from otp.send_limits.fraud_guard.blocks import blocks, unblock
from otp.send_limits.fraud_guard.scopes import SCRIPTS

REASONS = {
    "pending": "too many sends at once, before anybody could verify them",
    "hour": "too many sends of the last hour were not verified",
    "day": "too many sends of the last day were not verified",
    "countries": "unverified sends to too many countries",
}


@click.group(cls=Sentences, invoke_without_command=True)
@click.pass_context
def guard(context: click.Context) -> None:
    """Show what the guard refuses now, and why."""
    if context.invoked_subcommand is None:
        _show(_redis())


@guard.command("lift")
@click.argument("kind", type=click.Choice(list(SCRIPTS)))
@click.argument("which")
def lift_block(kind: str, which: str) -> None:
    """Lift the block of a country (DE), a prefix (+4915112345) or an address: its unverified sends are forgiven.

    Write the address of a client app's end user with the app's name: shop/192.0.2.1. Exits with 0, with 1 if there is
    nothing to forgive or Redis fails, or with 2 if KIND and WHICH name no country, prefix or address.
    """
    try:
        scope = read_scope(kind, which)
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint=kind) from e
    if not unblock(_redis(), kind, scope):
        fail(f"There is nothing to forgive for {kind} {scope}. flask guard shows what is refused.")
    click.echo(f"The unverified sends for {kind} {scope} are forgiven. The guard counts from zero again.")


def _redis() -> RedisClient:
    settings = load_settings()
    return connect(settings.redis_url.get_secret_value(), settings.key_prefix)


def _show(redis: RedisClient) -> None:
    found = list(blocks(redis))
    for block in found:
        minutes = math.ceil((block.until - time.time()) / 60)
        click.echo(f"{block.kind:<8} {block.which:<20} {minutes:>5} min  {REASONS[block.why]}")
    click.echo(
        f"\nflask guard lift {found[0].kind} {found[0].which}   lifts the first." if found else "Nothing is refused."
    )
