"""The cuts a caller asks for, where a pipeline ends in an order that is not best first; and what is left of a cut text."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from reprlib import repr as short

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis import DynamicK, FirstStage, Place, Reranker, TokenBudget
from tamis.errors import ConfigError
from tamis.select import Fixed
from tamis.text.tokens import left_of

FOUND = [{"text": str(n), "score": float(n)} for n in range(8)]


@pytest.mark.parametrize("top_n", range(1, 9))
def test_top_n_takes_the_best_and_their_places_come_after(top_n: int) -> None:
    placed = Reranker(FirstStage() | Place("ends"), top_n=top_n, scores="similarity").rerank("q", FOUND)
    assert set(placed.positions) == set(range(8 - top_n, 8))
    assert placed.positions[0] == 7
    assert all(d.why == "top_n" for d in placed.dropped)


@given(st.one_of(st.integers(max_value=0), st.booleans(), st.floats(), st.text(), st.lists(st.integers(), max_size=1)))
def test_a_cap_that_is_no_whole_number_above_zero_is_refused_with_its_value(top_n: object) -> None:
    reranker = Reranker(["first_stage"])
    wanted = re.escape(f"top_n must be a whole number > 0, such as 5, or None for no limit; got {short(top_n)}")
    for call in (
        lambda: Reranker(["first_stage"], top_n=top_n),
        lambda: tamis.rerank("q", FOUND, ["first_stage"], top_n=top_n),
        lambda: reranker.rerank("q", FOUND, top_n=top_n),
        lambda: asyncio.run(reranker.arerank("q", FOUND, top_n=top_n)),
    ):
        with pytest.raises(ConfigError, match=wanted):
            call()


@pytest.mark.parametrize("ordered", ["no", 0, 1, None, "True"])
def test_ordered_is_true_or_false(ordered: object) -> None:
    with pytest.raises(ConfigError, match="ordered must be True or False, got"):
        Reranker(ordered=ordered)  # type: ignore[arg-type]


def test_a_threshold_and_a_cap_for_one_call_do_so_too() -> None:
    reranker = Reranker(["first_stage", {"place": "ends"}], top_n=2, scores="similarity")
    assert reranker.rerank("q", FOUND, top_n=3, threshold=6.0).positions == (7, 6)
    assert reranker.rerank("q", FOUND, top_n=4).positions == (7, 5, 4, 6)


def test_a_cap_stands_behind_dynamic_k_and_other_stages() -> None:
    dynamic = FirstStage() | DynamicK(Fixed(5))
    assert Reranker(dynamic, top_n=3, scores="similarity").rerank("q", FOUND).positions == (7, 6, 5)
    assert Reranker(dynamic, top_n=99, scores="similarity").rerank("q", FOUND).positions == (7, 6, 5, 4, 3)
    assert Reranker(dynamic | TokenBudget(2), top_n=3, scores="similarity").rerank("q", FOUND).positions == (7, 6)
    assert Reranker(dynamic).stage is dynamic


@given(front=st.text(max_size=20), content=st.text(max_size=40), at=st.integers(0, 70))
def test_what_is_left_of_a_text_is_its_beginning(front: str, content: str, at: int) -> None:
    whole = f"{front}\n{content}"
    left = left_of(content, whole, whole[:at])
    assert content.strip().startswith(left)
    assert left_of(content, whole, whole) == content.strip()
    lengths = [len(left_of(content, whole, whole[:end])) for end in range(len(whole) + 1)]
    assert all(shorter <= longer for shorter, longer in pairwise(lengths))


def test_a_text_that_is_not_there_is_left_as_it_is() -> None:
    assert left_of("a mountain", "something else", "some") == "a mountain"


def test_there_is_one_default_and_it_trusts_the_order() -> None:
    texts = [f"passage {n} about mountains" for n in range(12)]
    assert Reranker().source == "default"
    trusted = tamis.rerank("mountains", texts)
    assert trusted.positions == Reranker().rerank("mountains", texts).positions
    turned = [tamis.rerank("mountains", given, ordered=False) for given in (texts, texts[::-1])]
    assert [{r.text: r.score for r in ranking.kept} for ranking in turned[:1]] == [
        {r.text: r.score for r in ranking.kept} for ranking in turned[1:]
    ]


def test_an_unordered_list_has_no_meaning_for_another_pipeline() -> None:
    with pytest.raises(ConfigError, match="ordered=False has no effect on the pipeline 'lexical'"):
        tamis.rerank("q", ["a"], "lexical", ordered=False)
