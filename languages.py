"""Which message template a person reads best: BCP 47 tags, and how far one language is from another (CLDR)."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from langcodes import Language, closest_match, language_distance, tag_is_valid

from errors import InvalidLocale

LONGEST_TAG = 35  # characters; RFC 5646, 4.4.1: enough for every tag of a known language, script, region and variants
LONGEST_HEADER = 500
MOST_WISHES = 10
NEAR = 10  # of CLDR's distances up to 134: another region, another name; beyond it, another language
REMEMBERED = 1000  # answers; a visitor's browser asks the same each time
KEPT_TAGS = 10_000  # 13 MB

# `Language` of Infobip's contract: what it reads aloud, by our tag.
_SPOKEN = "en es ca da nl fr de it ja ko no pl ru sv fi hr sl ro pt-PT pt-BR zh-CN zh-TW"
_SHAPE = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_WISH = re.compile(r"[ \t]*([A-Za-z0-9-]{2,35})[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?")


def is_locale(tag: str) -> bool:
    """Whether it is a BCP 47 tag of a language, like `de`, `pt-BR` or `zh-Hant`; `de_DE` is none."""
    if len(tag) > LONGEST_TAG or not _SHAPE.fullmatch(tag):
        return False
    _forget_tags()
    return tag_is_valid(tag)


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
        ids: by the channel's name and the locale, as INFOBIP_TEMPLATES has them. A call is read from an SMS' template
            where there is none of its own, and Infobip has a voice for its language.
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
            InvalidLocale: `locale` is no BCP 47 tag.
        """
        if locale is not None and not is_locale(locale):
            raise InvalidLocale
        header = accept_language if locale is None and len(accept_language or "") <= LONGEST_HEADER else None
        return self._choose(channel, locale, header) if self._ids.get(channel) else None

    def _uncached(self, channel: str, locale: str | None, header: str | None) -> str | None:
        ids = self._ids[channel]
        wishes = _wishes(header or "") if locale is None else [locale]
        return next((ids[found] for wish in wishes if (found := closest(wish, ids))), None)


def _wishes(accept_language: str) -> list[str]:
    """Its locales, the most wanted first; what is none is left out."""
    read = [_WISH.fullmatch(part) for part in accept_language.split(",")]
    weighted = [(float(wish[2] or 1), wish[1]) for wish in read if wish]
    weighted.sort(key=lambda each: -each[0])
    return [tag for weight, tag in weighted[:MOST_WISHES] if weight and is_locale(tag)]


def _forget_tags() -> None:
    # langcodes keeps whatever it was asked about for ever, and here strangers ask.
    caches: list[dict[Any, Any]]
    caches = [Language._PARSE_CACHE, Language._INSTANCES, language_distance._DISTANCE_CACHE]
    if max(map(len, caches)) > KEPT_TAGS:
        for cache in caches:
            cache.clear()
