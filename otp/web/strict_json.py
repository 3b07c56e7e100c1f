"""JSON from outside: RFC 8259 and nothing beside it."""

import json
import re
from typing import Any

DEEPEST = 64  # levels; the deepest body that an endpoint takes has five

# A string matches wherever it ends, or does not: so each byte is looked at once, whatever the text.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_RUN = re.compile(rb"[\[{]+|[\]}]+")


def parse(text: bytes) -> Any:
    """The value of a JSON `text` in UTF-8.

    Raises:
        ValueError: it is no JSON, has a key twice in one object, NaN or Infinity, half a character (a lone surrogate),
            or more than 64 levels.
    """
    # The parser's own guard is Python's: 1,000 levels until 3.11, and as many as the C stack takes since 3.12.
    if _is_deep(text):
        raise ValueError("too deep")
    value = _DECODER.decode(text.decode())
    if b"\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # fails where an escape is half a character
    return value


def _is_deep(text: bytes) -> bool:
    if text.count(b"[") + text.count(b"{") <= DEEPEST:  # that many openings cannot be deeper
        return False
    depth = 0
    for run in _RUN.findall(_STRING.sub(b"", text)):
        depth += len(run) if run[0] in b"[{" else -len(run)
        if depth > DEEPEST:
            return True
    return False


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate keys")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_no_constant)
