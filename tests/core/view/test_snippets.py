"""Snippets: the part of a passage that speaks of the query, its words marked, nothing from outside as markup."""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, Lexical, Ranking, TopN
from tamis.view.picture import fragment
from tamis.view.snippets import marked, query_terms, snippet, spans, whole, window

FILLER = "nothing of interest is said here at all, and it goes on for long. " * 30


def shown(text: str, query: str, length: int = 280) -> str:
    return snippet(text, query_terms(query), length)[0]


@pytest.mark.parametrize(
    ("text", "query", "words"),
    [
        ("Two Kettles boil", "kettle", ["Kettles"]),
        ("parseDate and parse_date", "parse", ["parseDate", "parse"]),
        ("the STRASSE", "straße", ["STRASSE"]),
        ("東京タワーの高さ", "東京タワー", ["東京タワー"]),
        ("what is it", "what is it", ["what", "is", "it"]),
        ("it is a kettle", "what is a kettle", ["kettle"]),
        ("nothing", "kettle", []),
    ],
)
def test_the_words_of_the_query_are_marked_as_they_are_written(text: str, query: str, words: list[str]) -> None:
    assert re.findall("<mark>(.*?)</mark>", shown(text, query)) == words


def test_a_snippet_is_where_most_different_words_of_the_query_are() -> None:
    text = f"a kettle. {FILLER} the kettle whistles when water boils. {FILLER} a kettle again"
    said = shown(text, "when does a kettle whistle, and water boil")
    assert "<mark>kettle</mark> <mark>whistles</mark>" in said
    assert said.startswith("…")
    assert said.endswith("…")
    assert shown(FILLER, "kettle") == FILLER[:280].rstrip() + "…"


def test_a_snippet_at_the_end_of_a_text_is_as_long_as_any() -> None:
    said = shown(f"{FILLER} a kettle.", "kettle")
    assert said.endswith("<mark>kettle</mark>.")
    assert 230 < len(re.sub("<.*?>", "", said)) <= 281


def test_all_of_a_text_is_one_click_away() -> None:
    text = f"{FILLER} the kettle whistles. {FILLER}"
    html = fragment(Ranking.of("kettle", [Candidate(text)]), style=False)
    opened = re.search('<details class="whole"><summary>.*?</summary><bdi class="text">(.*?)</bdi></details>', html)
    assert opened
    assert unescape(re.sub("</?mark>", "", opened[1])) == text.rstrip()
    cut = (Lexical() | TopN(1)).rerank("kettle", ["kettle", text])
    assert f">{text.rstrip()}<" in re.sub("</?mark>", "", fragment(cut, style=False))
    assert "<details" not in fragment(Ranking.of("kettle", ["a kettle"]), style=False)
    assert "more characters" in whole("x" * 30_000, frozenset())


@given(st.text(max_size=400), st.text(max_size=20), st.integers(20, 100))
def test_a_snippet_is_a_part_of_the_text_with_no_markup_but_marks(text: str, query: str, length: int) -> None:
    wanted = query_terms(query)
    found = spans(text, wanted)
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    start, end = window(text, found, length)
    assert 0 <= start <= end <= len(text)
    assert end - start <= length
    html = marked(text, found, start, end)
    bare = html.replace("<mark>", "").replace("</mark>", "")
    assert "<" not in bare
    assert html.count("<mark>") == html.count("</mark>")
    assert unescape(bare) == text[start:end].encode("utf-8", "replace").decode().rstrip()
