"""Which template a message is made from: the one that is closest to the person's language, or the default."""

import langcodes
import pytest

from errors import InvalidLocale
from languages import KEPT_TAGS, LONGEST_HEADER, LONGEST_TAG, Templates, closest, is_locale, spoken

MANY = {tag: tag.upper() for tag in ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "sv")}


def chosen(locale: str | None, accept_language: str | None = None, **ids: str) -> str | None:
    return Templates({"sms": ids or MANY}).of("sms", locale, accept_language)


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("de", "DE"),
        ("DE", "DE"),
        ("de-AT", "DE"),
        ("pt-BR", "PT"),
        ("pt-PT", "PT"),
        ("en-u-ca-buddhist", "EN"),
        ("deu", "DE"),
        ("gsw", "DE"),
        ("eu", None),
        ("ca", None),
        ("da", None),
        ("ja", None),
        ("sr-Latn", None),
        ("und", None),
    ],
)
def test_the_closest_of_ten(locale: str, expected: str | None) -> None:
    assert chosen(locale) == expected


def test_regions_and_scripts_are_told_apart() -> None:
    among = ["en-US", "en-GB", "pt-PT", "pt-BR", "zh-Hans", "zh-Hant", "es", "es-419", "nb"]
    wanted = {"en-AU": "en-GB", "en": "en-US", "pt": "pt-BR", "pt-AO": "pt-PT", "es-MX": "es-419", "no": "nb"}
    wanted |= {"zh-TW": "zh-Hant", "zh-HK": "zh-Hant", "zh": "zh-Hans", "es-ES": "es"}
    assert {tag: closest(tag, among) for tag in wanted} == wanted
    assert closest("zh-TW", ["zh"]) is None, "who reads Hant may not read Hans"


@pytest.mark.parametrize(
    "locale",
    [
        "",
        "de_DE",
        "de-",
        "-de",
        "de--DE",
        "d",
        "german",
        "deutsch-DE",
        "xx",
        "de-000",
        "de DE",
        "de\n",
        "dé",
        "*",
        "root",
        "x-klingon",
        "de-DE-" + "a" * 30,
        "a" * 10_000,
        "\x00",
        "de;q=1",
        "\ud800",
    ],
)
def test_what_is_no_locale(locale: str) -> None:
    assert not is_locale(locale)
    for templates in (Templates({}), Templates({"sms": MANY})):
        with pytest.raises(InvalidLocale):
            templates.of("sms", locale, "de")


def test_the_longest_tag() -> None:
    longest = "en-x-" + "abcdefg-" * 3 + "abcdef"
    assert (len(longest), is_locale(longest), is_locale(longest + "a")) == (LONGEST_TAG, True, False)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("de", "DE"),
        ("de-CH, fr;q=0.9", "DE"),
        ("fr;q=0.8, de;q=0.9", "DE"),
        ("ja, eu;q=0.9, pl;q=0.1, *;q=0.05", "PL"),
        ("*", None),
        ("de;q=0", None),
        ("de;q=0, fr;q=0.001", "FR"),
        ("fr;q=0.9,de;q=0.9", "FR"),
        ("fr ; q=0.5 ,\tde ;Q=1.000", "DE"),
        ("de_DE, fr;q=0.1", "FR"),
        ("de;q=2, fr;q=0.1", "FR"),
        ("de;q=, fr;q=0.1", "FR"),
        (",;,-,;q=1,de", "DE"),
        ("\x00\xff", None),
        ("ja," * 10 + "de", None),
        ("de" + " " * (LONGEST_HEADER - 2), "DE"),
        ("de" + " " * (LONGEST_HEADER - 1), None),
    ],
)
def test_what_a_browser_asks_for(header: str | None, expected: str | None) -> None:
    assert chosen(None, header) == expected


def test_the_locale_beats_the_header() -> None:
    assert chosen("fr", "de") == "FR"
    assert chosen("ja", "de") is None, "an app that says which language it is knows better than the browser"


def test_each_channel_has_its_own() -> None:
    templates = Templates({"sms": MANY, "voice": {"de": "CALL"}, "email": {"fr": "MAIL"}})
    assert templates.of("voice", "de") == "CALL"
    assert templates.of("voice", "fr") == "FR", "it reads what the SMS says"
    assert templates.of("voice", "tr") is None, "Infobip has no voice for it"
    assert templates.of("email", "fr") == "MAIL"
    assert templates.of("email", "de") is None
    assert Templates({}).of("sms", "de") is None


def test_what_infobip_reads_aloud() -> None:
    wanted = {"en-GB": "en", "de": "de", "nb": "no", "pt": "pt_br", "pt-PT": "pt_pt", "zh": "zh_cn", "zh-Hant": "zh_tw"}
    assert {tag: spoken(tag) for tag in wanted} == wanted
    assert (spoken("tr"), spoken("uk")) == (None, None)


def test_strangers_cannot_fill_the_memory() -> None:
    """langcodes remembers all tags: without an end, a million of them would take 1.3 GB."""
    templates = Templates({"sms": MANY})
    for number in range(KEPT_TAGS + 100):
        assert templates.of("sms", f"de-x-{number}") == "DE"
    assert len(langcodes.Language._PARSE_CACHE) <= KEPT_TAGS + 100
    for number in range(KEPT_TAGS):
        templates.of("sms", None, f"de-x-a{number}, fr-x-{number}")
    assert len(langcodes.Language._PARSE_CACHE) <= KEPT_TAGS + 100
    assert len(langcodes.Language._INSTANCES) <= KEPT_TAGS + 100
