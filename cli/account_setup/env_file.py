"""Changes settings in `.env`: all other bytes, the file's mode and its owner stay as they are."""

import os
import re
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, values: Mapping[str, str]) -> None:
    """Set `values`, which need no quotes. A new file is readable only by its owner.

    Raises:
        OSError, UnicodeError: the file cannot be read or written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8", newline="") as file:
        text = file.read()
        for name, value in values.items():
            text = _set(text, name, value)
        file.seek(0)
        file.write(text)
        file.truncate()


def _set(text: str, name: str, value: str) -> str:
    line = re.compile(rf"^([ \t]*(?:export[ \t]+)?{name}[ \t]*=)[^\r\n]*?([ \t]+#[^\r\n]*)?(?=\r?$)", re.MULTILINE)
    if line.search(text):
        return line.sub(rf"\g<1>{value}\g<2>", text)
    end = "\r\n" if "\r\n" in text else "\n"
    before = text if not text or text.endswith("\n") else text + end
    return f"{before}{name}={value}{end}"
