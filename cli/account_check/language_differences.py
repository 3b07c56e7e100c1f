"""Compares the other templates with the settings: one finding for each template that fits."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cli.account_check.template_differences import compare_template, text_of
from cli.account_setup.autofill import PIN, without_last_line
from cli.account_setup.message_texts import read_message_texts
from cli.findings import SETUP, Finding, quote
from config import Settings
from otp.infobip.account import Template
from otp.languages import voice_language


class _Named(NamedTuple):
    """A template that a setting names."""

    name: str
    channel: str
    its_id: str
    remedy: str
    locale: str = ""


def compare_languages(settings: Settings, by_id: Mapping[str, Template]) -> Iterator[Finding]:
    """Findings about each template that the settings name in addition to the default one, and about all texts."""
    others = [*_others(settings)]
    for other in others:
        if template := by_id.get(other.its_id):
            yield from _compare(settings, other, template)
        else:
            said = "This application at Infobip has no such template: nothing can be sent with it."
            yield Finding("error", other.name, said, other.remedy)
    named = {"the default": settings.infobip_2fa_msg_id, **{other.name: other.its_id for other in others}}
    if twice := [name for name, its_id in named.items() if its_id in by_id and text_of(by_id[its_id]).count(PIN) > 1]:
        said = f"The text of {', '.join(twice)} has {PIN} twice; Infobip does not document whether it fills both."
        yield Finding("warning", "PIN twice", said, "send one to yourself, and look at it")


def compare_voice(settings: Settings, by_id: Mapping[str, Template]) -> Iterator[Finding]:
    """A warning if calls read the default template in another language, where templates.toml has its text."""
    template = by_id.get(settings.templates.get("voice", ""))
    if template is None:
        return
    theirs, text = template.language or "en", text_of(template)
    locale = next((locale for locale, known in _known_texts().items() if text.startswith(known)), "")
    ours = locale and voice_language(locale)
    if ours and ours[:2] != theirs[:2]:
        said = f"Calls read the default template in {quote(theirs)}, and its text is in {locale}."
        yield Finding("warning", "voice", said, f"{SETUP} --language {locale}")


def _known_texts() -> Mapping[str, str]:
    try:
        return read_message_texts()
    except ValueError:  # the command that uses the file says what is wrong with it
        return {}


def _others(settings: Settings) -> Iterator[_Named]:
    for channel, its_id in settings.templates.items():
        if its_id != settings.infobip_2fa_msg_id:
            create = f"{SETUP} --voice, or " if channel == "voice" else ""
            yield _Named(channel, channel, its_id, f"{create}correct INFOBIP_2FA_{channel.upper()}_MSG_ID")
    for channel, ids in settings.infobip_templates.items():
        for locale, its_id in ids.items():
            option = {"sms": "", "voice": " --voice"}.get(channel)
            create = f"{SETUP} --languages {locale}{option}, or " if option is not None and "/" not in locale else ""
            remedy = f"{create}correct INFOBIP_TEMPLATES"
            yield _Named(f"{channel} {locale}", channel, its_id, remedy, locale.rpartition("/")[2])


def _compare(settings: Settings, of: _Named, template: Template) -> list[Finding]:
    findings = [*compare_template(settings, template, of.channel)]
    if of.channel == "voice":
        findings += _compare_call(of, template)
    unfit = [finding._replace(name=of.name) for finding in findings if finding.status != "ok"]
    return unfit or [Finding("ok", of.name, "It fits the settings.")]


def _compare_call(of: _Named, template: Template) -> Iterator[Finding]:
    """Warnings about what only a call reads: the language, and a last line that is for phones."""
    theirs, ours = template.language or "en", voice_language(of.locale) if of.locale not in ("", "*") else None
    if ours and ours[:2] != theirs[:2]:
        said = f"Calls read it in {quote(theirs)}."
        yield Finding("warning", of.name, said, f"set its language to {ours} at portal.infobip.com")
    if without_last_line(text := text_of(template)) != text:
        yield Finding("warning", of.name, "Calls read its last line aloud, which is for phones.", SETUP)
