"""Commands report errors as sentences, without tracebacks."""

import math
from typing import Any, NoReturn

import click

from config import SettingsError
from otp.errors import OtpError
from otp.infobip.account_errors import AccountError
from otp.redis.administration import CommandRefused

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
        except CommandRefused:
            fail("Redis does not let the user of REDIS_URL do this. flask infobip check says what it lacks.")
        except AccountError as e:
            fail(f"{e.sentence} {e.remedy[:1].upper()}{e.remedy[1:]}." if e.remedy else e.sentence)
        except OtpError as e:
            wait = "" if e.retry_after is None else f" (in {max(1, math.ceil(e.retry_after))} s)"
            fail(f"{e.sentence}{wait}")


def fail(sentence: str, status: int = 1) -> NoReturn:
    """Print `sentence` to the standard error and exit with `status`."""
    click.echo(sentence, err=True)
    raise SystemExit(status)
