"""How keys are named. `RedisClient` puts KEY_PREFIX before each of them, inside the braces where there are some; it is
`otp:` below, and in what other files tell of theirs, and stands nowhere else.

What is kept of a recipient. All of its keys are in one slot of a Cluster, so that one script may decide by them.

otp:phoneNumber:+14155552671              hash of its PINs                        lives as long as the last of them
otp:email:jo@example.com                  the same for an e-mail address
{otp:phoneNumber:+14155552671}:cooldown   the id of the send that holds it        lives as long as the cooldown
{otp:phoneNumber:+14155552671}:sent       the times of its sends                  lives as long as its limit's windows
{...}:sent:9f86d081884c                   of those that one requester asked for   the same
{otp:phoneNumber:+14155552671}:failures   the times of guesses that were not right, until one is    the same
{otp:phoneNumber:+14155552671}:trusted    who verified it lately                  lives 30 days (GUARD_KNOWN)
"""

import re

from otp.recipients import Recipient
from otp.requester import Requester

PREFIX = "otp:"


def check_prefix(prefix: str) -> str:
    """Return `prefix` if it means the same everywhere: in a key, in a pattern of keys, and in a rule of an ACL.

    Raises:
        ValueError: it does not.
    """
    if not re.fullmatch("[A-Za-z0-9:._/-]{1,64}", prefix):
        raise ValueError("must be 1 to 64 letters, digits, or any of : . _ / -, like otp:")
    return prefix


def pins(recipient: Recipient) -> str:
    """Its PINs: see `store`."""
    return f"{recipient.member}:{recipient.canonical}"


def cooldown(recipient: Recipient) -> str:
    """Exists while no other message may be sent to it."""
    return f"{{{pins(recipient)}}}:cooldown"


def sent(recipient: Recipient) -> str:
    """Times (microseconds since 1970), the newest first."""
    return f"{{{pins(recipient)}}}:sent"


def sent_for(recipient: Recipient, requester: Requester) -> str:
    """The same, of the sends to the recipient that this requester asked for."""
    return f"{sent(recipient)}:{requester.network_fingerprint}"


def failures(recipient: Recipient) -> str:
    """Times (microseconds since 1970), the newest first."""
    return f"{{{pins(recipient)}}}:failures"


def trusted(recipient: Recipient) -> str:
    """Exists while it was verified lately."""
    return f"{{{pins(recipient)}}}:trusted"
