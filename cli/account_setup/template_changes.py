"""What `flask infobip setup` wants the message templates to be: the default one, and those of other languages."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from cli.account_check.autofill import PIN, ended
from cli.account_setup.changes import Step
from otp.infobip.account import Template
from otp.languages import spoken
from otp.settings.account import AccountSettings

TEXT = "{{pin}} is your verification code."


class SetupOptions(NamedTuple):
    """What the operator asked for; None leaves it as it is, or as it is usual.

    Args:
        languages: BCP 47 tags, of which each SMS is to say what `texts` has.
        texts: those that are known, by BCP 47 tag.
    """

    name: str | None = None
    text: str | None = None
    sender: str | None = None
    languages: Collection[str] = ()
    texts: Mapping[str, str] = {}


class Templates:
    """Those that Infobip has; says what has to change. None is taken twice, and none that is for email."""

    def __init__(self, settings: AccountSettings, options: SetupOptions, there: Sequence[Template]) -> None:
        self._settings = settings
        self._options = options
        self._there = {each.message_id: each for each in there if each.message_id and each.message_text is not None}
        self._ids = settings.infobip_templates.get("sms", {})
        self._taken = {its_id for ids in settings.infobip_templates.values() for its_id in ids.values()}
        defaults = settings.infobip_2fa_msg_id, settings.infobip_2fa_voice_msg_id, settings.infobip_2fa_email_msg_id
        self._taken |= {its_id for its_id in defaults if its_id}

    def default(self) -> Step[Template]:
        """The one for whoever's language is not known."""
        options = self._options
        now = self._take(self._settings.infobip_2fa_msg_id, options.text or TEXT)
        return Step("message template", now, self._wanted(now or Template(), options.text or _kept(now) or TEXT))

    def languages(self, default: Step[Template]) -> Iterator[tuple[str, Step[Template]]]:
        """Those that INFOBIP_TEMPLATES has, as they are, and those that are asked for; by BCP 47 tag."""
        seen = {default.now and default.now.message_id}
        for locale in dict.fromkeys([*self._ids, *self._options.languages]):
            text = self._options.texts.get(locale)
            now = self._take(self._ids.get(locale), text)
            if now is None and text:
                yield locale, self._step(locale, None, Template(sender_id=default.wanted.sender_id), text)
            elif now and now.message_id not in seen:
                seen.add(now.message_id)
                asked = text if locale in self._options.languages else None
                yield locale, self._step(locale, now, now, asked or _kept(now) or text or TEXT)

    def _take(self, configured: str | None, text: str | None) -> Template | None:
        """The configured one; else one with the same text that nobody took."""
        if configured in self._there:
            return self._there[configured]
        for its_id, each in self._there.items():
            if text and its_id not in self._taken and self._ended(each.message_text or "") == self._ended(text):
                self._taken.add(str(its_id))
                return each
        return None

    def _step(self, locale: str, now: Template | None, like: Template, text: str) -> Step[Template]:
        wanted = self._wanted(like, text).model_copy(update={"language": like.language or spoken(locale)})
        return Step(f"message template for {locale}", now, wanted)

    def _wanted(self, like: Template, text: str) -> Template:
        return like.model_copy(
            update={
                "message_text": self._ended(text),
                "pin_length": self._settings.pin_length,
                "pin_type": self._settings.pin_type,
                "sender_id": self._options.sender or like.sender_id,
            }
        )

    def _ended(self, text: str) -> str:
        return ended(text, self._settings)


def _kept(now: Template | None) -> str | None:
    return now.message_text if now and PIN in (now.message_text or "") else None
