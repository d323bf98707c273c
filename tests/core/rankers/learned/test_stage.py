"""`Learned` and `tamis.default`: whatever comes in, every candidate once, in an order that rests on what is there."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from support.examples import examples
from tamis import Candidate, Learned
from tamis.models import Function
from tamis.values.answers import Failure

TEXT = st.one_of(
    st.text(max_size=60), st.sampled_from(["a tall mountain", "", "東京の天気", "def f(x): return x", "a b " * 400])
)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        text=TEXT,
        title=st.none() | TEXT,
        score=st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.just(1.0),
    ),
    max_size=12,
)
UNSCORED = Learned(unscored="unknown")
PASSAGES = [
    "The heart pumps blood through the body.",
    "A physician treats patients in a clinic.",
    "Trains run on railway tracks between cities.",
    "Mount Everest is the tallest mountain on Earth.",
    "A recipe for bread needs flour, water and salt.",
]


@given(
    query=TEXT.filter(str.strip),
    candidates=CANDIDATES,
    stage=st.sampled_from([Learned(), UNSCORED, Learned(explain=True)]),
)
@examples(150)
def test_any_pool_is_ranked_whole_and_alike_twice(query: str, candidates: list[Candidate], stage: Learned) -> None:
    ranking = stage.rerank(query, candidates)
    assert sorted(ranking.positions) == list(range(len(candidates)))
    assert all(ranked.score is not None for ranked in ranking.kept)
    assert stage.rerank(query, candidates).kept == ranking.kept


@given(query=TEXT.filter(str.strip), texts=st.lists(TEXT, min_size=1, max_size=10), seed=st.integers(0, 99))
def test_texts_in_no_order_have_the_same_scores_in_any_order(query: str, texts: list[str], seed: int) -> None:
    order = random.Random(seed).sample(range(len(texts)), len(texts))
    straight = {r.position: r.score for r in UNSCORED.rerank(query, texts).kept}
    shuffled = {order[r.position]: r.score for r in UNSCORED.rerank(query, [texts[i] for i in order]).kept}
    assert shuffled == pytest.approx(straight, abs=0.011)


@given(st.lists(st.sampled_from(PASSAGES), min_size=2, max_size=8))
def test_the_same_text_has_the_same_score_and_stays_as_it_came(texts: list[str]) -> None:
    ranking = UNSCORED.rerank("tallest mountain", texts)
    scores = {(r.text, r.score) for r in ranking.kept}
    assert len(scores) == len(set(texts))
    for text in set(texts):
        places = [r.position for r in ranking.kept if r.text == text]
        assert places == sorted(places)


def test_meaning_finds_what_words_do_not() -> None:
    assert UNSCORED.rerank("doctor", PASSAGES).candidates[0].text == PASSAGES[1]
    assert UNSCORED.rerank("cardiac circulation", PASSAGES).candidates[0].text == PASSAGES[0]


def test_what_the_query_asks_comes_before_what_it_does_not_and_the_empty_text_last() -> None:
    ranking = UNSCORED.rerank("tallest mountain", ["", *PASSAGES])
    assert ranking.candidates[0].text == PASSAGES[3]


@pytest.mark.parametrize("stage", [Learned(), UNSCORED])
def test_scores_count_where_words_say_nothing(stage: Learned) -> None:
    scored = [Candidate(text, score=score) for text, score in zip(PASSAGES, (0.1, 0.2, 0.9, 0.3, 0.4), strict=True)]
    assert stage.rerank("\U0001f600 ?!", scored).positions == (2, 4, 3, 1, 0)
    assert stage.rerank("zzz qqq", scored).positions[0] == 2


def test_an_order_counts_where_it_is_the_retrievers_word_only() -> None:
    same = ["a cat sat here", "a cat sat here", "a dog"]
    assert Learned().rerank("zzz qqq", PASSAGES).positions == (0, 1, 2, 3, 4)
    first, second = Learned().rerank("cat", same).kept[:2]
    assert (first.score or 0.0) > (second.score or 0.0)
    first, second = UNSCORED.rerank("cat", same).kept[:2]
    assert first.score == second.score


def test_scores_all_alike_are_none() -> None:
    alike = [Candidate(text, score=7.0) for text in PASSAGES]
    assert UNSCORED.rerank("mountain", alike).positions == UNSCORED.rerank("mountain", PASSAGES).positions


def test_explained_parts_add_up_to_the_score() -> None:
    for ranked in Learned(explain=True).rerank("tallest mountain", PASSAGES).kept:
        assert sum(part or 0.0 for part in ranked.criteria.values()) == pytest.approx(ranked.score, abs=0.02)


def test_one_candidate_and_a_thousand() -> None:
    assert Learned().rerank("mountain", PASSAGES[:1]).positions == (0,)
    many = [f"{PASSAGES[i % 5]} {i}" for i in range(1000)]
    assert len(Learned(depth=500).rerank("mountain", many).kept) == 1000
    assert "mountain" in Learned().rerank("mountain", many).kept[0].text


def letters(call: Any) -> list[float]:
    return [float(call.text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]


def test_an_embedder_joins_in_with_one_round_of_calls() -> None:
    ranking = tamis.default(Function(letters, "embed"), explain=True).rerank("tallest mountain", PASSAGES)
    assert ranking.usage.calls == len(PASSAGES) + 1
    assert all("embedding" in ranked.criteria for ranked in ranking.kept)


def test_an_embedder_that_fails_leaves_the_ranking_without_it_and_a_notice() -> None:
    def broken(call: Any) -> Any:
        return Failure("refused", "no")

    ranking = tamis.default(Function(broken, "embed")).rerank("tallest mountain", PASSAGES)
    assert ranking.positions == tamis.default().rerank("tallest mountain", PASSAGES).positions
    assert ranking.degraded


def test_it_is_data() -> None:
    stage = tamis.default(unscored="unknown", depth=50)
    assert tamis.load(stage.to_data()) == stage
    assert tamis.load("default").stages == (Learned(),)
    assert tamis.load("texts").stages == (UNSCORED,)


def test_nothing_but_numpy_and_pydantic_is_loaded() -> None:
    code = """
import sys, tamis
tamis.default().rerank("mountain", ["a mountain", "a recipe"])
print([m for m in ("scipy", "sklearn", "torch", "onnxruntime", "transformers", "tokenizers") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_that_share_a_word_do_not_trade_places() -> None:
    assert Learned().rerank("zebra", ["first text", "second text"]).positions == (0, 1)
