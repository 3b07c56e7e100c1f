"""`flask proof`: makes the key that signs proofs."""

import click

from cli.terminal import Sentences
from otp.proofs import new_signing_key

_HOW = """
Keep it secret. Put it into a file that only the service can read, and set

  PROOF_SIGNING_KEY_FILE=/path/to/that/file

or set PROOF_SIGNING_KEY to it, with its line breaks written as \\n. When it replaces another key, put that one into
PROOF_OLD_KEYS (or PROOF_OLD_KEYS_FILE) until its last proof has expired: 5 minutes after every replica has the new one.
"""


@click.group(cls=Sentences)
def proof() -> None:
    """Proofs that a phone was verified, for backends to check."""


@proof.command()
def new_key() -> None:
    """Make a key that signs proofs. The key goes to the standard output, instructions to the standard error."""
    click.echo(new_signing_key(), nl=False)
    click.echo(_HOW.rstrip(), err=True)
