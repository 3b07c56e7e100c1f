"""The words that a client puts into a message beside the PIN: names, and nothing that could be phishing."""

import re
import unicodedata
from collections.abc import Mapping

from errors import InvalidPlaceholders

LONGEST = 50
# What a phone makes a link of: a scheme, or a dot between two words. There are other dots than the ASCII one.
_LINK = re.compile(r"//|\w[.\u3002\uff61]\w", re.IGNORECASE)


def read_placeholders(given: Mapping[str, str], allowed: frozenset[str]) -> dict[str, str]:
    """Return `given`, of which each has an `allowed` name and 1 to 50 printable characters without a link in them.

    Raises:
        InvalidPlaceholders: one has not.
    """
    if not given.keys() <= allowed or not all(map(_is_harmless, given.values())):
        raise InvalidPlaceholders
    return dict(given)


def _is_harmless(text: str) -> bool:
    if not 1 <= len(text) <= LONGEST or not text.isprintable() or text.isspace() or set(text) & set("{}"):
        return False
    return not _LINK.search(unicodedata.normalize("NFKC", text))
