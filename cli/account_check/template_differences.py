"""Compares a message template at Infobip with the settings: what does not fit, and how to fix it."""

import re
from collections.abc import Iterator, Sequence

from cli.account_check.segments import Length, measure
from cli.account_setup.autofill import LONGEST, PIN, is_malformed, last_line
from cli.findings import SETUP, Finding, quote, unknown
from config import Settings
from otp.infobip.account import Template

_OTHER = re.compile(r"\{\{([^{}]*)\}\}")


def compare_template(settings: Settings, template: Template, channel: str = "sms") -> Iterator[Finding]:
    """All findings about a template, including what is ok. The template of an e-mail does not have its text."""
    yield _same("PIN length", settings.pin_length, template.pin_length, "PIN_LENGTH")
    yield _same("PIN type", settings.pin_type, template.pin_type, "PIN_TYPE")
    if channel != "email":
        yield from _text(settings, template, is_sms=channel == "sms")
    if channel == "sms":
        yield from _autofill(settings, text_of(template))


def text_of(template: Template) -> str:
    """The text of a template, with {{pin}} in the place of the PIN."""
    return (template.message_text or "").replace(template.pin_placeholder or PIN, PIN)


def _same(name: str, ours: str | int, theirs: str | int | None, setting: str) -> Finding:
    if theirs is None:
        return unknown(name)
    if theirs != ours:
        said = f"The template has {quote(theirs)}, and the service accepts only {ours}: no PIN can be verified."
        return Finding("error", name, said, f"{SETUP}, or set {setting}={quote(theirs)}")
    return Finding("ok", name, f"It is {ours} on both sides.")


def _text(settings: Settings, template: Template, *, is_sms: bool) -> Iterator[Finding]:
    if PIN not in (text := text_of(template)):
        said = f"There is no {PIN} in {'it' if text else 'the template: is it one for email?'}."
        yield Finding("error", "message text", said, SETUP)
        return
    filled = text.replace(PIN, "0" * settings.pin_length)
    others = _OTHER.findall(filled)
    if unfilled := [name for name in others if name not in settings.allowed_placeholders]:
        said = f"The service does not fill {', '.join(map(quote, unfilled))}"
        said += ", so its length is unknown." if is_sms else "."
        remedy = "leave only {{pin}} in the text, or name what clients may fill in ALLOWED_PLACEHOLDERS"
        yield Finding("warning", "message text", said, remedy)
    length = _length(settings, measure(_OTHER.sub("", filled)), others)
    if is_sms and (length.status != "ok" or not unfilled):
        yield length


def _length(settings: Settings, length: Length, others: Sequence[str]) -> Finding:
    """How many SMS a text needs, without the values of the `others`, its other placeholders."""
    said = f"It needs {length.segments} SMS: {length.units} {length.unit} in {length.encoding}"
    said += f", without {', '.join(map(quote, others))}." if others else "."
    if length.segments <= settings.sms_segments:
        return Finding("ok", "message length", said)
    said = f"{said} Each is paid for, and SMS_SEGMENTS counts {settings.sms_segments}."
    remedy = f"make the text shorter or plainer, or set SMS_SEGMENTS={length.segments}"
    return Finding("warning", "message length", said, remedy)


def _autofill(settings: Settings, text: str) -> Iterator[Finding]:
    name, line = "autofill", last_line(settings)
    size = len(text.replace(PIN, "0" * settings.pin_length).encode())
    if line and not text.endswith(f"\n{line}"):
        yield Finding("warning", name, f"The last line is not {line}: phones cannot fill the PIN in.", SETUP)
    elif settings.android_app_hash and size > LONGEST:
        said = f"It has {size} bytes, and Android reads the PIN from at most {LONGEST}."
        yield Finding("warning", name, said, "make the text shorter")
    elif line:
        yield Finding("ok", name, f"The last line is {line}.")
    elif is_malformed(text):
        said = f"The last line begins like that of WebOTP, and is not @host #{PIN}."
        yield Finding("warning", name, said, 'see "The PIN fills itself in" in the documentation')
