"""Findings about the account or Redis, for operators."""

import re
from typing import Literal, NamedTuple

SETUP = "run flask infobip setup"


class Finding(NamedTuple):
    """The result of one check; `remedy` says what an operator can do if it is not ok."""

    status: Literal["ok", "warning", "error"]
    name: str
    sentence: str
    remedy: str = ""


def unknown(name: str) -> Finding:
    """The finding if Infobip's response lacks a field, or has a value that cannot be read."""
    return Finding("warning", name, "Infobip does not say.", "look at portal.infobip.com")


def quote(theirs: str | int) -> str:
    """A value of Infobip's, if it is a plain word that can be printed."""
    return str(theirs) if re.fullmatch("[A-Za-z0-9_ ]{1,32}", str(theirs)) else "something else"
