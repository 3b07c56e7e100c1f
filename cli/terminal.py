"""How commands speak: sentences, whatever happens."""

import math
from typing import Any, NoReturn

import click

from config import SettingsError
from otp.errors import OtpError
from otp.infobip.account_errors import AccountError
from otp.redis.administration import CommandRefused

INTERRUPTED = 130  # as a shell calls what Ctrl-C ended


class Sentences(click.Group):
    """A group whose commands end with a sentence where they fail."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            fail("\nStopped.", INTERRUPTED)
        except SettingsError as e:
            fail(str(e))
        except CommandRefused:
            fail("Redis does not let the user of REDIS_URL do this. flask infobip check says what it lacks.")
        except AccountError as e:
            fail(f"{e.sentence} {_advice(e.remedy)}".rstrip())
        except OtpError as e:
            wait = "" if e.retry_after is None else f" (in {max(1, math.ceil(e.retry_after))} s)"
            fail(f"{e.sentence}{wait}")


def fail(sentence: str, status: int = 1) -> NoReturn:
    """End the command."""
    click.echo(sentence, err=True)
    raise SystemExit(status)


def _advice(remedy: str) -> str:
    return f"{remedy[:1].upper()}{remedy[1:]}." if remedy else ""
