"""Plans the changes of message templates: the default ones of SMS and calls, and those of other languages."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from cli.account_setup.autofill import PIN, with_last_line, without_last_line
from cli.account_setup.changes import Change
from config import AccountSettings
from otp.infobip.account import Template
from otp.languages import voice_language

TEXT = "{{pin}} is your verification code."

Place = tuple[str, str]  # a channel, and the BCP 47 tag of the language; "" is the default template
_Changes = Iterator[tuple[Place, Change[Template]]]


class SetupOptions(NamedTuple):
    """The options of the command; None keeps the current value, or takes the default.

    Args:
        language: BCP 47 tag of the default template; a call reads it in this language.
        languages: BCP 47 tags of the templates that get their text from `message_texts`.
        message_texts: the texts of templates.toml, by BCP 47 tag.
        voice: whether calls get templates of their own; each of the three others implies it.
        speech_rate: 0.5 to 2. Source: Infobip's contract, as for `repeat_dtmf`, the keys that repeat the message.
        email_template: the id of a template for e-mails in Infobip's portal; None makes no template of e-mails.
        email_sender: an address, perhaps with a name.
    """

    name: str | None = None
    text: str | None = None
    sender: str | None = None
    language: str | None = None
    languages: Collection[str] = ()
    message_texts: Mapping[str, str] = {}
    voice: bool = False
    voice_text: str | None = None
    speech_rate: float | None = None
    repeat_dtmf: str | None = None
    email_template: int | None = None
    email_sender: str | None = None

    @property
    def has_voice(self) -> bool:
        """Whether calls get templates of their own."""
        return self.voice or any((self.voice_text, self.speech_rate, self.repeat_dtmf))


class Templates:
    """The templates at Infobip, and what has to change. Each is used once; those for e-mail are not used."""

    def __init__(self, settings: AccountSettings, options: SetupOptions, templates: Sequence[Template]) -> None:
        self._settings = settings
        self._ending: Callable[[str], str] = partial(with_last_line, settings=settings)
        self._seen: set[str | None] = set()
        self._options = options
        self._by_id = {each.message_id: each for each in templates if each.message_id and each.message_text is not None}
        self._used_ids = {its_id for ids in settings.infobip_templates.values() for its_id in ids.values()}
        defaults = settings.infobip_2fa_msg_id, settings.infobip_2fa_voice_msg_id, settings.infobip_2fa_email_msg_id
        self._used_ids |= {its_id for its_id in defaults if its_id}

    def changes(self) -> dict[Place, Change[Template]]:
        """The changes of all templates, by the place of their ids in the settings."""
        default = self._default()
        changes = {("sms", ""): default, **dict(self._languages("sms", default))}
        return {**changes, **dict(self._voice(default)), **dict(self._languages("voice", default))}

    def _default(self) -> Change[Template]:
        """The template for people whose language is not known."""
        options = self._options
        fresh = options.message_texts.get(options.language or "", TEXT)
        now = self._find(self._settings.infobip_2fa_msg_id, options.text or fresh, "sms")
        self._seen.add(now.message_id if now else None)
        wanted = self._template("sms", now or Template(), options.text or _text_of(now) or fresh, options.language)
        return Change("message template", now, wanted)

    def _voice(self, default: Change[Template]) -> _Changes:
        """The default template of calls, if they have one of their own or get one."""
        options, configured = self._options, self._settings.infobip_2fa_voice_msg_id
        configured = None if configured == self._settings.infobip_2fa_msg_id else configured
        if not (configured or options.has_voice):
            return
        fresh = options.voice_text or without_last_line(default.wanted.message_text or "")
        now = self._find(configured, fresh, "voice")
        self._seen.add(now.message_id if now else None)
        like = now or Template(sender_id=default.wanted.sender_id, language=default.wanted.language)
        wanted = self._template("voice", like, options.voice_text or _text_of(now) or fresh, options.language)
        yield ("voice", ""), Change("message template for calls", now, wanted)

    def _languages(self, channel: str, default: Change[Template]) -> _Changes:
        """The templates of INFOBIP_TEMPLATES and of the requested languages; a call reads only some languages."""
        creates = channel == "sms" or self._options.has_voice
        requested = self._options.languages if creates else ()
        ids = self._settings.infobip_templates.get(channel, {})
        for locale in dict.fromkeys([*(key for key in ids if "/" not in key), *requested]):  # none of purposes
            text = self._options.message_texts.get(locale)
            now = self._find(ids.get(locale), text, channel)
            if now is None and text and creates and (channel == "sms" or voice_language(locale)):
                like = Template(sender_id=default.wanted.sender_id)
                yield (channel, locale), self._of_language(channel, locale, None, like, text)
            elif now and now.message_id not in self._seen:
                self._seen.add(now.message_id)
                new = text if locale in requested else None
                yield (
                    (channel, locale),
                    self._of_language(channel, locale, now, now, new or _text_of(now) or text or TEXT),
                )

    def _find(self, configured: str | None, text: str | None, channel: str) -> Template | None:
        """The configured template; otherwise an unused one with the same text."""
        if configured in self._by_id:
            return self._by_id[configured]
        end = self._ending if channel == "sms" else str  # a call takes no template with the last line of an SMS
        wanted = text and end(text)
        for its_id, each in self._by_id.items():
            if wanted and its_id not in self._used_ids and end(each.message_text or "") == wanted:
                self._used_ids.add(str(its_id))
                return each
        return None

    def _of_language(
        self, channel: str, locale: str, now: Template | None, like: Template, text: str
    ) -> Change[Template]:
        noun = f"message template for {'calls in ' if channel == 'voice' else ''}{locale}"
        language = None if like.language else locale
        return Change(noun, now, self._template(channel, like, text, language))

    def _template(self, channel: str, like: Template, text: str, locale: str | None) -> Template:
        """`like` with what the settings and the options demand. `locale`: the language in which a call reads it."""
        options, is_call = self._options, channel == "voice"
        new = {
            "message_text": without_last_line(text) if is_call else self._ending(text),
            "pin_length": self._settings.pin_length,
            "pin_type": self._settings.pin_type,
            "sender_id": options.sender or like.sender_id,
            "language": voice_language(locale) if locale else like.language,
            "speech_rate": (is_call and options.speech_rate) or like.speech_rate,
            "repeat_dtmf": (is_call and options.repeat_dtmf) or like.repeat_dtmf,
        }
        return like.model_copy(update=new)


def _text_of(now: Template | None) -> str | None:
    return now.message_text if now and PIN in (now.message_text or "") else None
