"""Words match in every stage alike, however they are spelled and whatever script they are written in."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest

from tamis import Cover, Deduplicate, Lexical, MultiCriteria, NearDuplicates, Stage, default
from tamis.criteria import Coverage, Criterion
from tamis.evaluate.first_stage import bm25_run
from tamis.graph.edges.concepts import Concepts
from tamis.graph.edges.mentions import Mentions
from tamis.pool.pool import Pool
from tamis.prompts.hints import hints
from tamis.values.ranking import Candidate, Query

OTHERS = ("a recipe of apple pie", "cats and dogs", "विमान उड़ता है", "サーバーを再起動する", "ช่างตัดผม")
FOUND = {
    "Korean, decomposed": ("서울의 지하철", unicodedata.normalize("NFD", "서울의 지하철 노선도")),
    "full width": ("ISO 9001", "ＩＳＯ　９００１の取得"),
    "half-width kana": ("ミルクティー", "ﾐﾙｸﾃｨｰの入れ方"),
    "Chinese": ("长城有多长", "长城全长两万多公里"),
    "Japanese": ("富士山の高さ", "富士山は3776メートルの山です"),
    "Thai": ("แม่น้ำเจ้าพระยา", "แม่น้ำเจ้าพระยายาว 372 กิโลเมตร"),
    "Lao": ("ແມ່ນ້ຳຂອງ", "ແມ່ນ້ຳຂອງໄຫຼຜ່ານວຽງຈັນ"),
    "Khmer": ("ទន្លេមេគង្គ", "ទន្លេមេគង្គហូរកាត់ភ្នំពេញ"),
    "Burmese": ("ဧရာဝတီမြစ်", "ဧရာဝတီမြစ်သည်ရှည်သည်"),
    "Hindi": ("गंगा नदी की लंबाई", "गंगा की लंबाई 2525 किलोमीटर"),
    "Arabic": ("طول نهر النيل", "يَبْلُغُ طُولُ نَهْرِ النِّيلِ"),
    "Hebrew": ("אורך הירדן", "אֹרֶךְ הַיַּרְדֵּן".replace("אֹ", "או")),
}
STAGES: dict[str, Callable[[], Stage]] = {
    "lexical": Lexical,
    "default": lambda: default(unscored="unknown"),
    "coverage": lambda: MultiCriteria(criteria=[Criterion("coverage", weight=9.0, source=Coverage())]),
}


def pool(answer: str) -> list[str]:
    return [*OTHERS, answer]


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize(("query", "answer"), FOUND.values(), ids=FOUND)
def test_the_passage_that_has_the_words_comes_first(stage: Callable[[], Stage], query: str, answer: str) -> None:
    ranking = stage().rerank(query, pool(answer))
    assert ranking.kept[0].text == answer  # as it came, in every code point


@pytest.mark.parametrize(("query", "answer"), FOUND.values(), ids=FOUND)
def test_the_bm25_of_evaluation_finds_it(query: str, answer: str) -> None:
    pytest.importorskip("bm25s")
    corpus = {str(place): Candidate(text) for place, text in enumerate(pool(answer))}
    assert bm25_run({"q": query}, corpus)["q"][0][0] == str(len(OTHERS))


SPELLINGS = [
    ("한강의 길이는 얼마", unicodedata.normalize("NFD", "한강의 길이는 얼마")),
    ("ＡＰＩ ｋｅｙ rotation", "API key rotation"),
    ("كِتَابُ النَّحْوِ", "كتاب النحو"),
    ("hand\u00adshake of Ǆ", "handshake of ǆ"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
@pytest.mark.parametrize("stage", [Deduplicate(), NearDuplicates(similarity=1.0)], ids=["equal", "near"])
def test_two_spellings_of_one_text_are_duplicates(stage: Stage, one: str, other: str) -> None:
    ranking = stage.rerank("q", [one, other])
    assert [ranked.text for ranked in ranking.kept] == [one]


def test_texts_that_differ_in_their_marks_are_no_duplicates() -> None:
    texts = ["किला ऊँचा है आज", "कला ऊँची है आज"]
    assert len(NearDuplicates(similarity=1.0).rerank("q", texts).kept) == 2
    assert len(Deduplicate().rerank("q", texts).kept) == 2


@pytest.mark.parametrize(("query", "answer"), FOUND.values(), ids=FOUND)
def test_cover_sees_the_words_of_the_query(query: str, answer: str) -> None:
    assert Cover().rerank(query, pool(answer)).positions[0] == len(OTHERS)


@pytest.mark.parametrize(("title", "mention"), SPELLINGS)
def test_a_title_is_mentioned_in_any_spelling(title: str, mention: str) -> None:
    candidates = [Candidate("first", title=title), Candidate(f"see {mention} there"), Candidate("other")]
    edges = Mentions().of(Pool(Query("q"), candidates)).dense()
    assert edges[0][1] > 0 == edges[0][2]


def test_concepts_are_shared_in_any_spelling() -> None:
    one, other = "नदी का किनारा", "उस किनारा पर कला"
    candidates = [Candidate(one), Candidate(other), Candidate("कली के काल"), Candidate("x")]
    edges = Concepts().of(Pool(Query("q"), candidates)).dense()
    assert edges[0][1] > 0 == edges[0][2]


def test_hints_leave_out_the_words_of_the_query_in_any_spelling() -> None:
    assert "height" in hints("ｔａｌｌ mountain", "its height: a ｔａｌｌ mountain")
    assert "tall" not in hints("ｔａｌｌ mountain", "its height: a TALL mountain")
