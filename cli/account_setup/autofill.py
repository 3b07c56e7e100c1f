"""The last line of an SMS, by which a phone fills the PIN in; examples/autofill.md has the formats."""

import re

from config import AccountSettings

PIN = "{{pin}}"
LONGEST = 140  # bytes; Android's SMS Retriever reads no longer SMS
_WEBOTP = r"@[a-z0-9.-]+ #\{\{pin\}\}( @[a-z0-9.-]+)?"
_ANDROID = "(?=.*[0-9+/])[A-Za-z0-9+/]{11}"  # matches nine of ten hashes, and no words, which have no digits
_LAST_LINE = re.compile(rf"\s*\n({_WEBOTP}|{_ANDROID})\Z")


def last_line(settings: AccountSettings) -> str:
    """The last line that the settings require; "" for none."""
    return f"@{settings.webotp_domain} #{PIN}" if settings.webotp_domain else settings.android_app_hash or ""


def with_last_line(text: str, settings: AccountSettings) -> str:
    """`text` with the last line that the settings require; it replaces another one."""
    line = last_line(settings)
    if not line or text.endswith(f"\n{line}"):
        return text
    return f"{without_last_line(text)}\n\n{line}"


def without_last_line(text: str) -> str:
    """`text` for calls, which would read such a line aloud."""
    return _LAST_LINE.sub("", text)


def is_malformed(text: str) -> bool:
    """Whether the last line begins like one of WebOTP, and does not have its form."""
    _, before, line = text.rpartition("\n")
    return bool(before) and line.startswith("@") and not re.fullmatch(_WEBOTP, line)
