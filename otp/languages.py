"""Which message template a person reads best: BCP 47 tags, and how far one language is from another (CLDR)."""

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

LONGEST_TAG = 35  # characters; RFC 5646, 4.4.1: enough for every tag of a known language, script, region and variants
LONGEST_LOCALE = 255  # characters that a client app may send; with extensions (RFC 6067), phones have 36 to 60
LONGEST_HEADER = 2000
MOST_WISHES = 10
NEAR = 10  # of CLDR's distances up to 134: another region, another name; beyond it, another language
REMEMBERED = 1000  # answers; a visitor's browser asks the same each time
KEPT_TAGS = 10_000  # 13 MB

# `Language` of Infobip's contract: what it reads aloud, by our tag.
_SPOKEN = "en es ca da nl fr de it ja ko no pl ru sv fi hr sl ro pt-PT pt-BR zh-CN zh-TW"
_SHAPE = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_SUBTAG = re.compile("[A-Za-z0-9]{1,8}")
_EXTENDED, _SCRIPT, _REGION = map(re.compile, ("[A-Za-z]{3}", "[A-Za-z]{4}", "[A-Za-z]{2}|[0-9]{3}"))
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva"}  # as glibc's locales say it: sr_RS@latin
_WEIGHT = re.compile(r"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_LIKE = '{"sms": {"de": "<template id>", "pt": "<template id>"}}'


def is_locale(tag: str) -> bool:
    """Whether it is a BCP 47 tag of a language, like `de`, `pt-BR` or `zh-Hant`; `de_DE` is none."""
    if len(tag) > LONGEST_TAG or not _SHAPE.fullmatch(tag):
        return False
    _forget_tags()
    return tag_is_valid(tag)


def _channel(name: str) -> str:
    if name not in CHANNELS:
        raise ValueError(f"knows no channel {name!r}; there are {', '.join(CHANNELS)}")
    return name


def _locale(tag: str) -> str:
    if not is_locale(tag):
        raise ValueError(f"{tag!r} is no language tag of BCP 47 like de or pt-BR")
    return tag


def _ids(of: Any) -> Any:
    if isinstance(of, dict) and all(isinstance(each, str) and re.fullmatch(IDENTIFIER, each) for each in of.values()):
        return of
    raise ValueError(f"must have the id of a template for each language, like {_LIKE}")


Locale = Annotated[str, AfterValidator(_locale)]
TemplateIds = Annotated[  # by the channel's name and the locale, as INFOBIP_TEMPLATES has them
    dict[Annotated[str, AfterValidator(_channel)], Annotated[dict[Locale, str], BeforeValidator(_ids)]],
    from_text(lambda text: json_or_file(text, _LIKE)),
]


def read_locale(written: str) -> str | None:
    """The language, script and region of a locale as phones write it; None for what is no language's.

    Args:
        written: BCP 47 with or without extensions (Android: `de-DE-u-mu-celsius`), as Java has it (`zh_TW_#Hant`),
            POSIX (`de_DE.UTF-8@euro`) or ICU (`en_US@calendar=gregorian`). What it has beyond these is not looked at.
    """
    name, _, modifier = written.strip().partition("@")
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
    """The one of these locales that a reader of `locale` reads as well; None where all are other languages."""
    found, distance = closest_match(locale, [*among], max_distance=NEAR)
    return found if distance <= NEAR else None


def spoken(locale: str) -> str | None:
    """How Infobip calls the language in which it reads a text of `locale` aloud; None if it has no such voice."""
    found = closest(locale, _SPOKEN.split())
    return found and found.replace("-", "_").lower()


class Templates:
    """The message templates of other languages than a channel's default one.

    Args:
        ids: see TemplateIds. A call is read from the template of an SMS where it has none of its own, and Infobip has
            a voice for its language.
    """

    def __init__(self, ids: Mapping[str, Mapping[str, str]]) -> None:
        read_aloud = {locale: its_id for locale, its_id in ids.get("sms", {}).items() if spoken(locale)}
        self._ids = {**ids, "voice": {**read_aloud, **ids.get("voice", {})}}
        self._choose = lru_cache(REMEMBERED)(self._uncached)

    def of(self, channel: str, locale: str | None = None, accept_language: str | None = None) -> str | None:
        """The id of the template for a message by `channel`; None: the channel's default one.

        Args:
            channel: its name.
            locale: the language that is asked for; only where it is None, `accept_language` is looked at.
            accept_language: the header of this name, for what it is worth (RFC 9110, 12.5.4).

        Raises:
            InvalidLocale: `locale` has more than LONGEST_LOCALE characters.
        """
        if locale is not None and len(locale) > LONGEST_LOCALE:
            raise InvalidLocale
        wanted = accept_language if locale is None else locale
        return self._choose(channel, wanted) if wanted and self._ids.get(channel) else None

    def _uncached(self, channel: str, languages: str) -> str | None:
        ids = self._ids[channel]
        return next((ids[found] for wish in _wishes(languages) if (found := closest(wish, ids))), None)


def _wishes(languages: str) -> list[str]:
    """The locales of a header, or those that an app names: the most wanted first; what is none is left out."""
    if len(languages) > LONGEST_HEADER:  # what is cut off in the middle may be another language
        languages = languages[:LONGEST_HEADER].rpartition(",")[0]
    weighted = [wish for part in languages.split(",") if (wish := _wish(part)) and wish[0]]
    weighted.sort(key=lambda each: -each[0])
    return [tag for _, written in weighted[:MOST_WISHES] if (tag := read_locale(written))]


def _wish(part: str) -> tuple[float, str] | None:
    """Its weight, and the locale as it is written; None if the weight makes no sense."""
    written, is_weighted, parameter = part.partition(";")
    if not is_weighted or "@" in written:  # ICU has semicolons of its own
        return 1.0, written
    weight = _WEIGHT.fullmatch(parameter.strip())
    return (float(weight[1]), written) if weight else None


def _forget_tags() -> None:
    # langcodes keeps whatever it was asked about for ever, and here strangers ask.
    caches: list[dict[Any, Any]]
    caches = [Language._PARSE_CACHE, Language._INSTANCES, language_distance._DISTANCE_CACHE]
    if max(map(len, caches)) > KEPT_TAGS:
        for cache in caches:
            cache.clear()
