"""One spelling by which words are compared, and words that hold together."""

from __future__ import annotations

import re
import unicodedata
from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tamis.text.normal import folded, matched
from tamis.text.terms import CAMEL, marks, spaced, stem, terms, words

SAME = {
    "Korean, decomposed": ("한국의 산", unicodedata.normalize("NFD", "한국의 산")),
    "Vietnamese, decomposed": ("Đường phố", unicodedata.normalize("NFD", "Đường phố")),
    "full width": ("TCP/IP v6", "ＴＣＰ／ＩＰ ｖ６"),
    "half-width kana with a voice mark": ("ガラス", "ｶﾞﾗｽ"),
    "ligature": ("efficient", "e\ufb03cient"),
    "sharp s": ("Größe STRASSE", "GRÖSSE straße"),
    "final sigma": ("ΛΟΓΟΣ", "λόγος".replace("ό", "ο")),
    "Turkish": ("İzmir DIYARBAKIR", "izmir diyarbakır"),
    "Arabic with vowels": ("مدرسة", "مَدْرَسَةٌ"),
    "Arabic with tatweel": ("كتاب", "كتـــاب"),
    "Arabic from a PDF": ("سلام", "\ufeb3\ufefc\ufee1"),
    "Hebrew with points": ("ירושלים", "יְרוּשָׁלַיִם"),
    "Hebrew, points composed": ("בית", "\ufb31ית"),
    "digits of another script": ("2024", "٢٠٢٤"),
    "Hindi digits": ("8848 मीटर", "८८४८ मीटर"),
    "soft hyphen": ("international", "inter\u00adnational"),
    "word joiner and byte order mark": ("keyboard", "\ufeffkey\u2060board"),
    "joiner in a conjunct": ("क्ष", "क्\u200dष"),
    "non-joiner in a conjunct": ("क्ष", "क्\u200cष"),
    "subscript": ("H2O", "H₂O"),
    "variant of a sign": ("葛飾", "葛\U000e0100飾"),
    "unit": ("area m2 cm3", "area m² cm³"),
    "number of a note": ("cave 3", "cave³"),
    "trade mark": ("NUTELLA tm", "NUTELLA™"),
    "number sign": ("no 5", "№5"),
    "accent of its own": ("l eau", "l´eau"),
}
DIFFERENT = {
    "Hindi": ("किला", "कला"),
    "Marathi": ("पाणी", "पणी"),
    "Bengali": ("বাড়ি", "বড়"),
    "Tamil": ("பாடு", "படி"),
    "Telugu": ("పాలు", "పలు"),
    "Sinhala": ("කැම", "කම"),
    "Thai": ("ใกล้", "ใกล"),
    "Lao": ("ນ້ຳ", "ນາ"),
    "Khmer": ("កុក", "កូក"),
    "Burmese": ("ကား", "ကီး"),
    "Tibetan": ("བོད", "བུད"),
    "powers": ("10²", "102"),
    "fractions": ("1½", "112"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_spellings_of_one_word_are_one(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []
    assert folded(one).split() == folded(other.replace("´", " ")).split()


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_words_that_differ_in_a_mark_stay_different(one: str, other: str) -> None:
    assert terms(one) != terms(other)


@pytest.mark.parametrize(
    "word", ["हिन्दी", "বাংলা", "தமிழ்", "తెలుగు", "മലയാളം", "ಕನ್ನಡ", "ગુજરાતી", "ਪੰਜਾਬੀ", "සිංහල", "नेपाली", "አማርኛ", "x̄y"]
)
def test_a_word_is_one_word_whatever_marks_it_has(word: str) -> None:
    assert words(f"({word}, {word})") == [matched(word)] * 2
    assert len(terms(word)) == 1


@pytest.mark.parametrize(
    "run", ["富士山高度", "カタカナ語", "ประเทศไทย", "ປະເທດລາວ", "កម្ពុជា", "မြန်မာနိုင်ငံ", "ꦧꦱꦗꦮ", "𠮷野家"]
)
def test_scripts_without_spaces_are_read_in_pairs_that_begin_with_a_letter(run: str) -> None:
    found = terms(run)
    assert len(found) > 1
    assert all(not re.match(f"[{marks()}]", pair) for pair in found)
    assert spaced(run).split() == found


def test_other_scripts_beside_an_unspaced_one_keep_their_words() -> None:
    assert terms("GPT4モデル入門") == ["gpt4", "モデ", "デル", "ル入", "入門"]
    assert terms("มี500USDต่อ") == ["มี", "500", "usd", "ต่อ"]
    assert "人々" in terms("人々")


def before(text: str) -> list[str]:
    """Terms of ASCII text, as the weights of the default ranker were learnt with."""
    parts = chain.from_iterable(map(CAMEL.split, re.findall(r"[^\W_]+", text)))
    return [stem(part.lower()) for part in parts]


@given(st.text(st.characters(max_codepoint=127)))
@example("snake_case and camelCase of HTTPServer2, 3.14; it's")
def test_ascii_text_has_the_terms_it_always_had(text: str) -> None:
    assert terms(text) == before(text)
    assert matched(text) == text == spaced(text)


MIXED = st.text(
    st.sampled_from(
        [
            *"aZß1²½ .'_-İıς",
            *"\u0301\u0327\u00ad\u200b\u200c\u200d\u00b4\ufe0f\u0307",
            *"한ᄒ국가か\u3099ｶﾞ山葛",
            *"कि\u094d\u0937म",
            *"ข้าวน้ำກ",
            *"كَـتب\u0654ا",
            *"שָׁב\ufb31",
            "\ud800",
            "\x00",
            "\ufb03",
            "٣",
            "८",
        ]
    )
)


@given(st.text() | MIXED)
@example("क्\u200cष नी\u200cम")
@example("e\u0301\u00ad\u0301")
def test_terms_do_not_depend_on_composition_or_on_how_a_text_is_split(text: str) -> None:
    assert terms(text) == list(chain.from_iterable(map(terms, text.split())))
    composed, decomposed = (terms(unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
    assert composed == decomposed
    assert all(term and not term.isspace() for term in composed)


@given(st.text() | MIXED)
def test_what_is_compared_once_is_compared_alike_twice(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert matched(matched(text)) == matched(text)
    assert terms(folded(text)) == terms(folded(folded(text)))
