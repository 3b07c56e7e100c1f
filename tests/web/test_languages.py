"""A message is made from the template that is closest to the person's language, or from the default."""

import langcodes
import pytest

from otp.errors import InvalidLocale
from otp.languages import (
    KEPT_TAGS,
    LONGEST_HEADER,
    LONGEST_LOCALE,
    LONGEST_TAG,
    Templates,
    closest,
    is_locale,
    voice_language,
)

ANDROID = "-u-ca-buddhist-co-phonebk-fw-mon-hc-h23-mu-celsius-nu-latn"
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
def test_the_closest_of_ten_languages_is_chosen(locale: str, expected: str | None) -> None:
    assert chosen(locale) == expected


def test_regions_and_scripts_are_distinguished() -> None:
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
def test_an_invalid_tag_is_refused_in_settings(locale: str) -> None:
    assert not is_locale(locale)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("de-DE-u-fw-mon-mu-celsius", "DE"),
        (f"pt-BR{ANDROID}", "PT"),
        (f"de-Latn-DE{ANDROID}-x-lvariant-posix", "DE"),
        ("de-t-en-h0-hybrid", "DE"),
        ("de_DE", "DE"),
        ("en_US", "EN"),
        ("en-US-POSIX", "EN"),
        ("en_US_POSIX", "EN"),
        ("en-US@posix", "EN"),
        ("en_US.UTF-8", "EN"),
        ("de_DE.UTF-8@euro", "DE"),
        ("de_DE.ISO8859-1", "DE"),
        ("en_US@calendar=gregorian;numbers=latn", "EN"),
        ("no_NO_NY", None),
        ("de-DE,en-US", "DE"),
        ("ja_JP_JP_#u-ca-japanese, fr_FR", "FR"),
        ("de;q=1", "DE"),
        (" de\n", "DE"),
        ("de-", "DE"),
        ("de--DE", "DE"),
        ("de-000", "DE"),
        ("de-XX", "DE"),
        ("de-Xxxx-YY", "DE"),
        ("de-1996-1996", "DE"),
        ("de-*", "DE"),
        ("DE-de", "DE"),
        ("-de", None),
        ("C", None),
        ("POSIX", None),
        ("C.UTF-8", None),
        ("root", None),
        ("und", None),
        ("und-u-mu-celsius", None),
        ("x-klingon", None),
        ("i-klingon", None),
        ("german", None),
        ("deutsch-DE", None),
        ("xx", None),
        ("", None),
        ("*", None),
        ("dé", None),
        ("\x00", None),
        ("de\x00", None),
        ("\ud800", None),
        ("d" * LONGEST_LOCALE, None),
    ],
)
def test_locales_are_read_as_phones_write_them(written: str, expected: str | None) -> None:
    assert chosen(written, "sv") == expected, "and what cannot be read gets the default template"
    assert chosen(None, f"{written.replace(';', ',')}, ja;q=0.5") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("zh_TW_#Hant", "zh-Hant"),
        ("zh_CN#Hans", "zh-Hans"),
        ("zh__#Hant", "zh-Hant"),
        ("zh-Hant-HK-u-hc-h12", "zh-Hant"),
        ("zh-cmn-Hans-CN", "zh-Hans"),
        ("sr_RS@latin", "sr-Latn"),
        ("sr_RS.UTF-8@latin", "sr-Latn"),
        ("sr_RS", "sr"),
        ("iw_IL", "he"),
        ("in_ID", "id"),
        ("ji", "yi"),
        ("no_NO", "nb"),
        ("en-Latn-GB-u-mu-celsius", "en-GB"),
    ],
)
def test_scripts_and_old_language_codes_are_read(written: str, expected: str) -> None:
    among = ["zh-Hans", "zh-Hant", "sr", "sr-Latn", "he", "id", "yi", "nb", "en-US", "en-GB"]
    assert chosen(written, **{tag: tag for tag in among}) == expected


def test_only_a_locale_that_is_too_long_is_refused() -> None:
    """This holds also if there are no templates to choose from."""
    longest = "de-x-" + "abcdefg-" * 31 + "ab"
    assert (len(longest), chosen(longest)) == (LONGEST_LOCALE, "DE")
    for templates in (Templates({}), Templates({"sms": MANY})):
        with pytest.raises(InvalidLocale):
            templates.of("sms", longest + "a")


def test_only_a_tag_that_is_too_long_is_refused_in_settings() -> None:
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
        ("de_DE, fr;q=0.1", "DE"),
        (f"ja{ANDROID}, " * 9 + f"de-CH{ANDROID};q=0.9", "DE"),
        ("de;q=2, fr;q=0.1", "FR"),
        ("de;q=, fr;q=0.1", "FR"),
        (",;,-,;q=1,de", "DE"),
        ("\x00\xff", None),
        ("ja," * 9 + "de", "DE"),
        ("ja," * 10 + "de", None),
        ("sv," + " " * (LONGEST_HEADER - 3) + "de", "SV"),
        (";" + " " * 5000, None),
        ("de" + " " * (LONGEST_HEADER - 2), "DE"),
        ("de" + " " * (LONGEST_HEADER - 1), None),
    ],
)
def test_accept_language_selects_the_template(header: str | None, expected: str | None) -> None:
    assert chosen(None, header) == expected


def test_the_locale_takes_precedence_over_the_header() -> None:
    assert chosen("fr", "de") == "FR"
    assert chosen("ja", "de") is None, "an app that says which language it is knows better than the browser"


def test_each_channel_has_its_own_templates() -> None:
    templates = Templates({"sms": MANY, "voice": {"de": "CALL"}, "email": {"fr": "MAIL"}})
    assert templates.of("voice", "de") == "CALL"
    assert templates.of("voice", "fr") == "FR", "it reads what the SMS says"
    assert templates.of("voice", "tr") is None, "Infobip has no voice for it"
    assert templates.of("email", "fr") == "MAIL"
    assert templates.of("email", "de") is None
    assert Templates({}).of("sms", "de") is None


def test_languages_have_the_voice_language_of_infobip() -> None:
    wanted = {"en-GB": "en", "de": "de", "nb": "no", "pt": "pt_br", "pt-PT": "pt_pt", "zh": "zh_cn", "zh-Hant": "zh_tw"}
    assert {tag: voice_language(tag) for tag in wanted} == wanted
    assert (voice_language("tr"), voice_language("uk")) == (None, None)


def test_unknown_tags_cannot_fill_the_memory() -> None:
    """langcodes caches all tags: without a limit, a million of them would take 1.3 GB."""
    templates = Templates({"sms": MANY})
    for number in range(KEPT_TAGS + 100):
        assert templates.of("sms", f"de-x-{number}") == "DE"
    assert len(langcodes.Language._PARSE_CACHE) <= KEPT_TAGS + 100
    for number in range(KEPT_TAGS):
        templates.of("sms", None, f"de-x-a{number}, fr-x-{number}")
    assert len(langcodes.Language._PARSE_CACHE) <= KEPT_TAGS + 100
    assert len(langcodes.Language._INSTANCES) <= KEPT_TAGS + 100
