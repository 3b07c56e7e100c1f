"""Lua scripts: one file for each decision that must be atomic. The head of a file has its KEYS, ARGV and reply."""

import re
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any, cast

from hiredis import pack_command

Command = tuple[str | int | float, ...]  # ("GET", "key")

_FOLDER = Path(__file__).parent
_INCLUDE = re.compile(r"(?m)^-- include (\w+)\n")
_COMMENTS = re.compile(r"(?m)^\s*(--.*\n|\n)?")
_CALLS = re.compile(r"redis\.p?call\('([A-Z]+)'")
_texts: dict[str, str] = {}  # by SHA-1


class Script:
    """The script of the file `name`.lua. A call makes the command that runs it."""

    def __init__(self, name: str) -> None:
        self.text = _COMMENTS.sub("", _read(name))
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()  # Redis's name for the script
        _texts[self.sha] = self.text

    def __call__(self, keys: Sequence[str], *arguments: str | float) -> Command:
        """EVALSHA with these keys, all of one slot, and these arguments."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


def _read(name: str) -> str:
    """The file `name`.lua, with the files that it includes: what several scripts must know in the same way."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda line: _read(line[1]), text)


def names_in_scripts() -> set[str]:
    """The commands inside the scripts, in lower case."""
    return {name.lower() for text in _FOLDER.glob("*.lua") for name in _CALLS.findall(text.read_text(encoding="utf-8"))}


def in_full(command: Command) -> Command:
    """The EVAL for an EVALSHA of a `Script`, for a server that does not have the script (NOSCRIPT)."""
    return ("EVAL", _texts[str(command[1])], *command[2:])


def pack(command: Command) -> bytes:
    """Encode `command` in RESP."""
    return cast(bytes, pack_command(cast(Any, command)))  # its annotation is a tuple of one item


def with_prefix(prefix: str, command: Command) -> Command:
    """Put `prefix` before the keys of `command`: EVALSHA has their number, every other command in use has one key."""
    parts = [*command]
    for place in range(3, 3 + int(command[2])) if command[0] == "EVALSHA" else (1,):
        parts[place] = add_prefix(prefix, str(command[place]))
    return tuple(parts)


def add_prefix(prefix: str, key: str) -> str:
    """Put `prefix` before `key`: inside the braces that it may begin with, which say its slot of a Cluster."""
    return f"{{{prefix}{key[1:]}" if key.startswith("{") else prefix + key


def key_of(command: Command) -> str:
    """The key that says which node of a Cluster has to run `command`. Every command in use has one."""
    return str(command[3] if command[0] in ("EVALSHA", "EVAL") else command[1])
