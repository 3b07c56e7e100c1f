"""What is found about the account or Redis, for an operator to read."""

import re
from typing import Literal, NamedTuple

SETUP = "run flask infobip setup"


class Finding(NamedTuple):
    """What was found about one thing; an operator's `remedy` where it is not ok."""

    status: Literal["ok", "warning", "error"]
    name: str
    sentence: str
    remedy: str = ""


def unknown(name: str) -> Finding:
    """Infobip's answer leaves this out, or has something that cannot be read."""
    return Finding("warning", name, "Infobip does not say.", "look at portal.infobip.com")


def shown(theirs: str | int) -> str:
    """A word of Infobip's, where it is one."""
    return str(theirs) if re.fullmatch("[A-Za-z0-9_ ]{1,32}", str(theirs)) else "something else"
