"""Parses JSON strictly by RFC 8259."""

import json
import re
from typing import Any

DEEPEST = 64  # levels; the deepest body of an endpoint has five

# A string matches even without its end, so each byte is read once, whatever the text.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_RUN = re.compile(rb"[\[{]+|[\]}]+")


def parse(text: bytes) -> Any:
    """The value of a JSON `text` in UTF-8.

    Raises:
        ValueError: it is not JSON, or has a key twice in one object, NaN, Infinity, a lone surrogate, or more than 64
            levels.
    """
    # Python's own limit is 1,000 levels until 3.11, and the size of the C stack since 3.12.
    if _is_deep(text):
        raise ValueError("too deep")
    value = _DECODER.decode(text.decode())
    if b"\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # fails for a lone surrogate
    return value


def _is_deep(text: bytes) -> bool:
    if text.count(b"[") + text.count(b"{") <= DEEPEST:  # so few brackets cannot be deeper
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
