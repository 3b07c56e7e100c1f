"""The last line of an SMS from which a phone fills the PIN in; examples/autofill.md has the formats."""

import re

from otp.settings.templates import TemplateSettings

PIN = "{{pin}}"
LONGEST = 140  # bytes of an SMS that Android's SMS Retriever reads
_WEBOTP = r"@[a-z0-9.-]+ #\{\{pin\}\}( @[a-z0-9.-]+)?"
_ANDROID = "(?=.*[0-9+/])[A-Za-z0-9+/]{11}"  # nine of ten hashes; the words of a text have no digits
_LAST_LINE = re.compile(rf"\s*\n({_WEBOTP}|{_ANDROID})\Z")


def last_line(settings: TemplateSettings) -> str:
    """What the settings want a text to end with; "" for nothing."""
    return f"@{settings.webotp_domain} #{PIN}" if settings.webotp_domain else settings.android_app_hash or ""


def ended(text: str, settings: TemplateSettings) -> str:
    """`text` with the last line that the settings want, in the place of another one."""
    line = last_line(settings)
    if not line or text.endswith(f"\n{line}"):
        return text
    return f"{_LAST_LINE.sub('', text)}\n\n{line}"


def is_malformed(text: str) -> bool:
    """Whether it ends with what looks like a line of WebOTP, and is none."""
    _, before, line = text.rpartition("\n")
    return bool(before) and line.startswith("@") and not re.fullmatch(_WEBOTP, line)
