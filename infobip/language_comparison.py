"""The templates of other languages against the service's settings, one line for each that is as it should be."""

from collections.abc import Iterator, Mapping

from infobip.account import Template
from infobip.autofill import PIN
from infobip.findings import SETUP, Finding
from infobip.template_comparison import compare_template, text_of
from settings.account import AccountSettings


def compare_languages(settings: AccountSettings, by_id: Mapping[str, Template]) -> Iterator[Finding]:
    """What is to be said of those that INFOBIP_TEMPLATES names; and of the texts of all."""
    named = {"the default": by_id.get(settings.infobip_2fa_msg_id or "")}
    for channel, ids in settings.infobip_templates.items():
        for locale, its_id in ids.items():
            name = f"{channel} {locale}"
            template = named[name] = by_id.get(its_id)
            yield from _compare(settings, name, channel, template) if template else [_absent(name, channel, locale)]
    twice = [name for name, template in named.items() if template and text_of(template).count(PIN) > 1]
    if twice:
        yield _pin_twice(twice)


def _absent(name: str, channel: str, locale: str) -> Finding:
    said = "Infobip knows no such template of this application: nothing can be sent with it."
    made = f"{SETUP} --languages {locale}, or " if channel == "sms" else ""
    return Finding("error", name, said, f"{made}mend INFOBIP_TEMPLATES")


def _compare(settings: AccountSettings, name: str, channel: str, template: Template) -> list[Finding]:
    findings = compare_template(settings, template, channel)
    unfit = [finding._replace(name=name) for finding in findings if finding.status != "ok"]
    return unfit or [Finding("ok", name, "It fits the settings.")]


def _pin_twice(names: list[str]) -> Finding:
    said = f"The text of {', '.join(names)} has {PIN} twice; Infobip does not document whether it fills both."
    return Finding("warning", "PIN twice", said, "send one to yourself, and look")
