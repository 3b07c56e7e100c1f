"""Placeholders of a message may be names from all over the world, but not links or phone numbers."""

import unicodedata
from collections.abc import Callable

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from otp.errors import InvalidPlaceholders
from otp.web.placeholders import read_placeholders
from tests.support.running import Sandbox, Service, refusal

NAMES = [
    "Zoë Ümit-Öz O'Neil",
    "O´Brien",  # an accent in place of an apostrophe
    "Martin Luther King Jr.",
    "J. R. R. Tolkien",
    "Anne-Marie d’Ornano",
    "Elizabeth 2",
    "Nguyễn Thị Ngọc Ánh",
    "Đặng Thùy Trâm",
    "Łukasz Żółć",
    "Þórður Æsir",
    "Ọ̀ṣọ́",  # Yoruba: tone marks on letters without a composed form
    "Adébáyọ̀",
    "Ń̄nọ́",
    "Mbɛ̂",  # Lingala
    "Ag̃üero",  # Guarani
    "M̧ajeļ",  # Marshallese
    "i̇brahim",  # İbrahim as a program writes it in lower case
    "Îsmaîl Ağa Çiğdem",
    "Αλέξανδρος Παπαδόπουλος",
    "Ἀριστοτέλης",
    "Йосип Ґалаґан",
    "Юрий Ёлкин",
    "Шева̄н",  # Mansi
    "Գրիգոր Լուսավորիչ",
    "გიორგი",
    "דָּוִד בֶּן־גּוּרִיּוֹן",
    "שרה",
    "محمد عبد الله",
    "مُحَمَّد",
    "علی\u200cرضا پهلوی",  # Persian, with a ZWNJ
    "می\u200cترا",
    "نَجِيبَة",
    "ܝܘܚܢܢ",
    "ܝܽܘܚܰܢܳܢ",
    "އިބްރާހީމް",  # Maldivian
    "ߡߊ߬ߡߊߘߎ߫",  # N'Ko
    "अमिताभ बच्चन",
    "क्षितिज़",
    "क्\u200dषमा",  # Hindi, with a ZWJ
    "हार्दिक्\u200c",
    "রবীন্দ্রনাথ ঠাকুর",
    "র\u200d্যাচেল",  # Bengali, with a ZWJ before the virama
    "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ",
    "મોહનદાસ ગાંધી",
    "ଓଡ଼ିଶା ପ୍ରଭା",
    "சுப்பிரமணியன்",
    "వేంకటేశ్వర్లు",
    "ಕೃಷ್ಣರಾಜ",
    "ರ\u200d್ಯಾನ್",  # Kannada, with a ZWJ before the virama
    "ശ്രീകുമാർ",
    "ന\u200dന്ദൻ".replace("\u200d", "്\u200d"),
    "ශ්\u200dරීමත් සිරිසේන",  # Sinhala, with a ZWJ
    "චන්ද්\u200dරිකා",
    "สมชาย ใจดี",
    "น้ำฝน ผู้กล้า",
    "ສົມສັກ ຄຳ",
    "សុខា ស្រីមុំ",
    "ហ៊ុន",
    "အောင်ဆန်းစုကြည်",
    "བསྟན་འཛིན་རྒྱ་མཚོ",
    "ᠲᠡᠮᠦᠵᠢᠨ",
    "አበበ በቂላ",
    "ᏍᏏᏉᏯ",
    "王小明",
    "五十嵐 一二三",
    "山田 太郎・ガブリエル",
    "ﾔﾏﾀﾞ ﾀﾛｳ",  # half-width
    "ﾊﾟﾊﾟ",
    "김철수",
    "陳大文／Chan",
    "\U00017000\U00017001",  # Tangut
    "ꦱꦸꦂꦪ",  # Javanese
    "ᬫᬤᬾ",  # Balinese
    "ᜊᜌ᜔ᜊᜌᜒᜈ᜔",  # Tagalog
]
NOT_NAMES = [
    "evil.com",
    "evil.com/x",
    "evil\ufe0f.com",  # variation selectors
    "evil.\ufe0fcom",
    "evil\ufe0f.\ufe0fcom",
    "evil\U000e0101.com",
    "evil\u0301.com",  # combining marks
    "evi\u0332l\u0332.com",
    "evilb\u0301.com",
    "evil\u20dd.com",
    "evil.\u0301com",
    "evil.\u0301\u0302\u0303com",
    "evil\u034f.com",
    "evil.\u200dcom",  # joiners
    "evil\u200c.com",
    "ev\u200cil",
    "क.\u200dख",
    "क्\u200d.com",
    "evil\u3002com",  # other dots
    "evil\uff0ecom",
    "evil\uff61com",
    "evil\u2024com",
    "evil.\uff9ecom",
    "evil\ufe52com",
    "evil\u2488com",
    "i❤.ws",
    "😀.com",
    "evil’.com",
    ".com",
    "президент.рф",  # domains of other scripts
    "پایتخت.ایران",
    "علی\u200cرضا.ایران",
    "अमेज़न.भारत",
    "ไทย.ไทย",
    "ශ්\u200dරී.ලංකා",
    "東京。大阪",
    "דָּוִד.com",
    "한국.한국",
    "http://evil",
    "//evil",
    "／／evil",
    "evil@work",
    "evil＠work",
    "0900 123 4567",  # telephone numbers
    "+49 (0)151-11 11",
    "0-9-0-0-1-2-3",
    "call 0 9 0 0 1 2 3",
    "0a9b0c0d1e2f3",
    "０９００１２３",
    "٠٩٠٠١٢٣",
    "۰۹۰۰۱۲۳",
    "०९००१२३",
    "๐๙๐๐๑๒๓",
    "①②③④⑤⑥⑦",
    "⁰⁹⁰⁰¹²³",
    "零九零零一二三",
    "🄋123456",
    "Jo\u0332",  # combining marks that no script needs there
    "Jo\u20dd",
    "Jo\u20e3",
    "Z\u0301\u0302\u0303algo",
    "\u0301Jo",
    "Jo \u0301",
    "Jo\ufe0f",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "王\u0301",
    "ا\u0301",
    "a\u064b",  # a mark of Arabic on a Latin letter
    "ก\u05b4",
    "\u200d",
    "\u200cعلی",
    "علی\u200c",
    "زهرا\u200cسادات",  # these letters do not join, so a ZWNJ has nothing to separate
    "👨\u200d👩\u200d👧",
    "\u202egnp.exe",
    "Jo\u00ad",
    "Jo\u200b",
    "Jo\u2060",
    "Jo\u00a0Do",
    "line\nbreak",
    "{{pin}}",
    "",
    " ",
    "\u3000",
    "\U00017000\u200c\U00017000",  # Tangut, whose letters have no names
    "\u3164",
    "Jo\u2800",
    "x" * 51,
]

Start = Callable[..., Service]


@pytest.fixture
def filled(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with a template that has two placeholders."""
    sandbox.reset(message_text="{{firstName}} {{lastName}}: {{pin}}")
    return start(sandbox.url, ALLOWED_PLACEHOLDERS="firstName,lastName")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_arrive_as_they_were_given(filled: Service, sandbox: Sandbox, form: str) -> None:
    names = [unicodedata.normalize(form, name) for name in NAMES]  # type: ignore[arg-type]
    for number, name in enumerate(names, 10000000):
        body = {"phoneNumber": f"+49151{number}", "placeholders": {"firstName": name, "lastName": "B"}}
        assert filled.post("/send-otp", body).status_code == 200, name
        assert sandbox.messages[-1].text == f"{name} B: {sandbox.messages[-1].pin.value}"


def test_texts_that_are_not_names_are_refused(filled: Service, sandbox: Sandbox, phone: str) -> None:
    for text in NOT_NAMES:
        body = {"phoneNumber": phone, "placeholders": {"firstName": text, "lastName": "B"}}
        assert refusal(filled.post("/send-otp", body)) == (400, "invalid_placeholders"), ascii(text)
    assert sandbox.request_count() == 0


def test_a_phone_number_in_two_parts_is_refused(filled: Service, sandbox: Sandbox, phone: str) -> None:
    def send(first: str, last: str) -> int:
        names = {"firstName": first, "lastName": last}
        return filled.post("/send-otp", {"phoneNumber": phone, "placeholders": names}).status_code

    assert send("0900", "123") == 400
    assert sandbox.request_count() == 0
    assert send("0900", "12") == 200


def test_a_resend_checks_placeholders_like_a_send(filled: Service, sandbox: Sandbox, phone: str) -> None:
    body = {"phoneNumber": phone, "placeholders": {"firstName": "evil\ufe0f.com"}}
    assert refusal(filled.post("/resend-otp", body)) == (400, "invalid_placeholders")
    assert sandbox.request_count() == 0


def is_accepted(*texts: str) -> bool:
    given = {f"p{number}": text for number, text in enumerate(texts)}
    try:
        return read_placeholders(given, frozenset(given)) == given
    except InvalidPlaceholders:
        return False


DOTS = st.sampled_from([".", "\u3002", "\uff0e", "\uff61", "\u2024", "\ufe52"])
INVISIBLE = st.text(st.characters(categories=["Mn", "Me", "Mc", "Cf"]), max_size=4)
LABELS = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd"]), min_size=1, max_size=8)


@given(LABELS, INVISIBLE, DOTS, INVISIBLE, LABELS)
def test_no_mark_and_no_joiner_hides_a_domain(host: str, before: str, dot: str, after: str, top: str) -> None:
    assert not is_accepted(f"{host}{before}{dot}{after}{top}")


BETWEEN = st.text(st.one_of(st.characters(categories=["Z", "P", "S"]), st.sampled_from(["a", "\u0301"])), max_size=3)
DIGIT = st.characters(categories=["Nd"])


@given(st.lists(st.tuples(DIGIT, BETWEEN), min_size=7, max_size=12), st.integers(0, 12))
def test_no_separator_and_no_script_hides_a_number(number: list[tuple[str, str]], cut: int) -> None:
    parts = ["".join(digit + between for digit, between in part) for part in (number[:cut], number[cut:])]
    assert not is_accepted(*(part for part in parts if part))


@given(st.text(max_size=50))
def test_an_accepted_text_has_no_link_without_its_invisible_characters(text: str) -> None:
    """A phone may read it as it is, or in the form that the addresses of web pages are normalised to."""
    if not is_accepted(text):
        return
    visible = [character for character in text if unicodedata.category(character)[0] not in "MC"]
    for form in ("".join(visible), unicodedata.normalize("NFKC", "".join(visible))):
        assert "//" not in form
        assert not any(form[at] in ".\u3002" and form[at + 1].isalnum() for at in range(len(form) - 1))
        assert sum(map(str.isdecimal, form)) < 7


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_two_names_are_accepted_like_one(first: str, last: str) -> None:
    assert is_accepted(first, last) or sum(map(str.isnumeric, first + last)) > 6
