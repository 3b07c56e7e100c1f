"""Plans the changes of message templates: the default one, and those of other languages."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from cli.account_check.autofill import PIN, with_last_line
from cli.account_setup.changes import Change
from config import AccountSettings
from otp.infobip.account import Template
from otp.languages import voice_language

TEXT = "{{pin}} is your verification code."


class SetupOptions(NamedTuple):
    """The options of the command; None keeps the current value, or takes the default.

    Args:
        language: BCP 47 tag of the default template; a call reads it in this language.
        languages: BCP 47 tags of the templates that get their text from `message_texts`.
        message_texts: the texts of templates.toml, by BCP 47 tag.
    """

    name: str | None = None
    text: str | None = None
    sender: str | None = None
    language: str | None = None
    languages: Collection[str] = ()
    message_texts: Mapping[str, str] = {}


class Templates:
    """The templates at Infobip, and what has to change. Each is used once; those for e-mail are not used."""

    def __init__(self, settings: AccountSettings, options: SetupOptions, templates: Sequence[Template]) -> None:
        self._settings = settings
        self._with_last_line = partial(with_last_line, settings=settings)
        self._options = options
        self._by_id = {each.message_id: each for each in templates if each.message_id and each.message_text is not None}
        by_key = settings.infobip_templates.get("sms", {})
        self._ids = {key: its_id for key, its_id in by_key.items() if "/" not in key}  # setup makes none of purposes
        self._used_ids = {its_id for ids in settings.infobip_templates.values() for its_id in ids.values()}
        defaults = settings.infobip_2fa_msg_id, settings.infobip_2fa_voice_msg_id, settings.infobip_2fa_email_msg_id
        self._used_ids |= {its_id for its_id in defaults if its_id}

    def default(self) -> Change[Template]:
        """The template for people whose language is not known."""
        options = self._options
        fresh = options.message_texts.get(options.language or "", TEXT)
        now = self._find(self._settings.infobip_2fa_msg_id, options.text or fresh)
        wanted = self._template(now or Template(), options.text or _text_of(now) or fresh)
        if options.language:
            wanted = wanted.model_copy(update={"language": voice_language(options.language)})
        return Change("message template", now, wanted)

    def languages(self, default: Change[Template]) -> Iterator[tuple[str, Change[Template]]]:
        """The templates of INFOBIP_TEMPLATES and of the requested languages, by BCP 47 tag."""
        seen = {default.now and default.now.message_id}
        for locale in dict.fromkeys([*self._ids, *self._options.languages]):
            text = self._options.message_texts.get(locale)
            now = self._find(self._ids.get(locale), text)
            if now is None and text:
                yield locale, self._change(locale, None, Template(sender_id=default.wanted.sender_id), text)
            elif now and now.message_id not in seen:
                seen.add(now.message_id)
                requested = text if locale in self._options.languages else None
                yield locale, self._change(locale, now, now, requested or _text_of(now) or text or TEXT)

    def _find(self, configured: str | None, text: str | None) -> Template | None:
        """The configured template; otherwise an unused one with the same text."""
        if configured in self._by_id:
            return self._by_id[configured]
        wanted = text and self._with_last_line(text)
        for its_id, each in self._by_id.items():
            if wanted and its_id not in self._used_ids and self._with_last_line(each.message_text or "") == wanted:
                self._used_ids.add(str(its_id))
                return each
        return None

    def _change(self, locale: str, now: Template | None, like: Template, text: str) -> Change[Template]:
        wanted = self._template(like, text).model_copy(update={"language": like.language or voice_language(locale)})
        return Change(f"message template for {locale}", now, wanted)

    def _template(self, like: Template, text: str) -> Template:
        return like.model_copy(
            update={
                "message_text": self._with_last_line(text),
                "pin_length": self._settings.pin_length,
                "pin_type": self._settings.pin_type,
                "sender_id": self._options.sender or like.sender_id,
            }
        )


def _text_of(now: Template | None) -> str | None:
    return now.message_text if now and PIN in (now.message_text or "") else None
