"""A message template at Infobip against the service's settings: what does not fit, and what to do about it."""

import re
from collections.abc import Iterator

from infobip.account import Template
from infobip.findings import SETUP, Finding, shown, unknown
from infobip.segments import measure
from settings.account import AccountSettings


def compare_template(settings: AccountSettings, template: Template) -> Iterator[Finding]:
    """What is to be said of it, the good too."""
    yield _same("PIN length", settings.pin_length, template.pin_length, "PIN_LENGTH")
    yield _same("PIN type", settings.pin_type, template.pin_type, "PIN_TYPE")
    yield from _text(settings, template)


def _same(name: str, ours: str | int, theirs: str | int | None, setting: str) -> Finding:
    if theirs is None:
        return unknown(name)
    if theirs != ours:
        said = f"The template makes {shown(theirs)}, and the service takes only {ours}: no PIN can be verified."
        return Finding("error", name, said, f"{SETUP}, or set {setting}={shown(theirs)}")
    return Finding("ok", name, f"It is {ours} on both sides.")


def _text(settings: AccountSettings, template: Template) -> Iterator[Finding]:
    pin, text = template.pin_placeholder or "{{pin}}", template.message_text or ""
    if pin not in text:
        said = f"There is no {{{{pin}}}} in {'it' if text else 'the template: is it one for email?'}."
        yield Finding("error", "message text", said, f"{SETUP} --text '{{{{pin}}}} is your verification code.'")
        return
    rest = text.replace(pin, "0" * settings.pin_length)
    length = measure(re.sub(r"\{\{[^{}]*\}\}", "", rest))
    if others := re.findall(r"\{\{([^{}]*)\}\}", rest):
        said = f"The service fills no {', '.join(map(shown, others))}, so its length is unknown."
        yield Finding("warning", "message text", said, "leave only {{pin}} in the text")
    said = f"It takes {length.segments} SMS: {length.units} {length.unit} in {length.encoding}."
    if length.segments > 1:
        yield Finding("warning", "message length", f"{said} Each is paid for.", "make the text shorter or plainer")
    elif not others:
        yield Finding("ok", "message length", said)
