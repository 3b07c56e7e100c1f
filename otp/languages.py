"""Chooses the message template of the language that a person reads best, by BCP 47 tags and CLDR's distances."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import takewhile
from typing import Annotated, Any

from langcodes import Language, closest_match, language_distance, tag_is_valid
from pydantic import AfterValidator, BeforeValidator

from otp.channels import CHANNELS
from otp.errors import InvalidLocale
from otp.setting_types import IDENTIFIER, from_text, json_or_file

LONGEST_TAG = 35  # characters; RFC 5646, 4.4.1: enough for all tags of registered subtags
LONGEST_LOCALE = 255  # characters of a client app's locale; with extensions (RFC 6067), those of phones have 36 to 60
LONGEST_HEADER = 2000
MOST_LOCALES = 10  # of a header
NEAR = 10  # CLDR's distances go to 134; up to this one it is the same language: another region, another name
CACHED_CHOICES = 1000  # a browser sends the same header each time
KEPT_TAGS = 10_000  # 13 MB

# The languages of Infobip's voices (`Language` of its contract), as BCP 47 tags.
_VOICE_LANGUAGES = "en es ca da nl fr de it ja ko no pl ru sv fi hr sl ro pt-PT pt-BR zh-CN zh-TW"
_SHAPE = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_SUBTAG = re.compile("[A-Za-z0-9]{1,8}")
_EXTENDED, _SCRIPT, _REGION = map(re.compile, ("[A-Za-z]{3}", "[A-Za-z]{4}", "[A-Za-z]{2}|[0-9]{3}"))
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva"}  # the modifiers of glibc's locales: sr_RS@latin
_WEIGHT = re.compile(r"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_PURPOSE = re.compile("[a-z][a-z0-9_-]{0,31}")
_OTHER_LANGUAGES = "*"
_LIKE = '{"sms": {"de": "<template id>", "pt": "<template id>"}}'


def is_locale(tag: str) -> bool:
    """Whether `tag` is a BCP 47 language tag, like `de`, `pt-BR` or `zh-Hant`, but not `de_DE`."""
    if len(tag) > LONGEST_TAG or not _SHAPE.fullmatch(tag):
        return False
    _forget_tags()
    return tag_is_valid(tag)


def _channel(name: str) -> str:
    if name not in CHANNELS:
        raise ValueError(f"unknown channel {name!r}; there are {', '.join(CHANNELS)}")
    return name


def _locale(tag: str) -> str:
    if not is_locale(tag):
        raise ValueError(f"{tag!r} is not a language tag of BCP 47 like de or pt-BR")
    return tag


def _purpose_and_locale(text: str) -> str:
    purpose, slash, tag = text.rpartition("/")
    if slash and not _PURPOSE.fullmatch(purpose):
        raise ValueError(f"{purpose!r} is not a purpose: write up to 32 small letters, digits, dashes and underscores")
    if not slash or tag != _OTHER_LANGUAGES:
        _locale(tag)
    return text


def _for_all_languages(ids: dict[str, str]) -> dict[str, str]:
    if any(f"{purpose}/{_OTHER_LANGUAGES}" not in ids for key in ids if (purpose := key.rpartition("/")[0])):
        raise ValueError("must have a template for each purpose in other languages, like payment/*")
    return ids


def _ids(of: Any) -> Any:
    if isinstance(of, dict) and all(isinstance(each, str) and re.fullmatch(IDENTIFIER, each) for each in of.values()):
        return of
    raise ValueError(f"must have the id of a template for each language, like {_LIKE}")


Locale = Annotated[str, AfterValidator(_locale)]
_Key = Annotated[str, AfterValidator(_purpose_and_locale)]  # de, payment/de or payment/*
_Ids = Annotated[dict[_Key, str], BeforeValidator(_ids), AfterValidator(_for_all_languages)]
_ChannelName = Annotated[str, AfterValidator(_channel)]
# By the channel's name, and the purpose and the locale, as INFOBIP_TEMPLATES has them.
TemplateIds = Annotated[dict[_ChannelName, _Ids], from_text(lambda text: json_or_file(text, _LIKE))]


def read_locale(text: str) -> str | None:
    """The BCP 47 tag with the language, script and region of a locale; None if it has no language.

    Args:
        text: a locale in the format of BCP 47 with or without extensions (Android: `de-DE-u-mu-celsius`), Java
            (`zh_TW_#Hant`), POSIX (`de_DE.UTF-8@euro`) or ICU (`en_US@calendar=gregorian`). Other parts are ignored.
    """
    name, _, modifier = text.strip().partition("@")
    language, *others = re.split("[-_#]+", name.partition(".")[0])
    known = [*takewhile(_is_before_extensions, others), _SCRIPTS.get(modifier.lower(), "")]
    extended, script, region = _first(_EXTENDED, known[:1]), _first(_SCRIPT, known), _first(_REGION, known)
    for subtags in ((language, extended, script, region), (language, script), (language, region), (language,)):
        if language and is_locale(tag := "-".join(filter(None, subtags))):
            return tag
    return None


def _is_before_extensions(subtag: str) -> bool:
    return len(subtag) > 1 and bool(_SUBTAG.fullmatch(subtag))


def _first(kind: re.Pattern[str], subtags: Collection[str]) -> str:
    return next(filter(kind.fullmatch, subtags), "")


def closest(locale: str, among: Collection[str]) -> str | None:
    """The closest of the locales to `locale` in the same language; None if there is none."""
    found, distance = closest_match(locale, [*among], max_distance=NEAR)
    return found if distance <= NEAR else None


def voice_language(locale: str) -> str | None:
    """Infobip's name of the language in which it reads a text of `locale` aloud; None if it has no such voice."""
    found = closest(locale, _VOICE_LANGUAGES.split())
    return found and found.replace("-", "_").lower()


def by_purpose(ids: Mapping[str, Mapping[str, str]], defaults: Mapping[str, str]) -> dict[str, "Templates"]:
    """The templates of each purpose in INFOBIP_TEMPLATES, and as those of "" the ones of messages without a purpose.

    `defaults` are those without a purpose, by channel name. No purpose uses them: their text may say something else.
    """
    found: dict[str, dict[str, dict[str, str]]] = {"": {}}
    for channel, of in ids.items():
        for key, its_id in of.items():
            purpose, _, locale = key.rpartition("/")
            found.setdefault(purpose, {}).setdefault(channel, {})[locale] = its_id
    others = {purpose: _take_defaults(of) if purpose else defaults for purpose, of in found.items()}
    return {purpose: Templates(of, others[purpose]) for purpose, of in found.items()}


def _take_defaults(ids: Mapping[str, dict[str, str]]) -> dict[str, str]:
    defaults = {channel: of.pop(_OTHER_LANGUAGES) for channel, of in ids.items()}
    return {"voice": defaults["sms"], **defaults} if "sms" in defaults else defaults


class Templates:
    """The message templates of one purpose, by language.

    Args:
        ids: by channel name and locale. Without a voice template of a language, calls use its SMS template if Infobip
            has a voice for the language.
        defaults: the ids for all other languages, by channel name.
    """

    def __init__(self, ids: Mapping[str, Mapping[str, str]], defaults: Mapping[str, str] | None = None) -> None:
        self._defaults = defaults or {}
        read_aloud = {locale: its_id for locale, its_id in ids.get("sms", {}).items() if voice_language(locale)}
        self._ids = {**ids, "voice": {**read_aloud, **ids.get("voice", {})}}
        self._choose = lru_cache(CACHED_CHOICES)(self._find)

    def of(self, channel: str, locale: str | None = None, accept_language: str | None = None) -> str | None:
        """The id of the template for a message over `channel`; None if there is none.

        Args:
            channel: the name of the channel.
            locale: the requested language; if it is None, `accept_language` decides.
            accept_language: the header of this name (RFC 9110, 12.5.4), possibly malformed.

        Raises:
            InvalidLocale: `locale` has more than LONGEST_LOCALE characters.
        """
        if locale is not None and len(locale) > LONGEST_LOCALE:
            raise InvalidLocale
        wanted = _shorten(accept_language or "") if locale is None else locale
        of_language = self._choose(channel, wanted) if wanted and self._ids.get(channel) else None
        return of_language or self._defaults.get(channel)

    def _find(self, channel: str, languages: str) -> str | None:
        ids = self._ids[channel]
        return next((ids[found] for locale in _preferred_locales(languages) if (found := closest(locale, ids))), None)


def _shorten(languages: str) -> str:
    if len(languages) <= LONGEST_HEADER:
        return languages
    return languages[:LONGEST_HEADER].rpartition(",")[0]  # a truncated tag may be another language


def _preferred_locales(languages: str) -> list[str]:
    """The locales of an Accept-Language header, the most preferred first, without malformed ones."""
    weighted = [locale for part in languages.split(",") if (locale := _parse_weight(part)) and locale[0]]
    weighted.sort(key=lambda each: -each[0])
    return [tag for _, text in weighted[:MOST_LOCALES] if (tag := read_locale(text))]


def _parse_weight(part: str) -> tuple[float, str] | None:
    """The weight of a locale, and its text; None if the weight is malformed."""
    text, is_weighted, parameter = part.partition(";")
    if not is_weighted or "@" in text:  # locales of ICU contain semicolons
        return 1.0, text
    weight = _WEIGHT.fullmatch(parameter.strip())
    return (float(weight[1]), text) if weight else None


def _forget_tags() -> None:
    # langcodes caches all tags for ever, and here they come from strangers.
    caches: list[dict[Any, Any]]
    caches = [Language._PARSE_CACHE, Language._INSTANCES, language_distance._DISTANCE_CACHE]
    if max(map(len, caches)) > KEPT_TAGS:
        for cache in caches:
            cache.clear()
