"""MaxSim, and the stage around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import LateInteraction
from tamis.errors import CapabilityError
from tamis.models import CostOnly, Function
from tamis.rankers import late_interaction
from tamis.rankers.late_interaction import max_sim
from tamis.values.answers import Failure, TokenVectors
from tamis.values.scale import COSINE

AXES = {"tall": [1.0, 0.0, 0.0], "high": [0.8, 0.6, 0.0], "soup": [0.0, 0.0, 1.0]}


def words(call: Any) -> list[list[float]]:
    return [AXES[word] for word in call.text.split()]


def unit_rows(rng: Any, count: int, width: int = 5) -> Any:
    rows = rng.normal(size=(count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(
    seed=st.integers(0, 2**32 - 1),
    query=st.integers(1, 9),
    lengths=st.lists(st.integers(1, 12), max_size=15),
    at_once=st.integers(1, 40),
)
def test_max_sim_is_the_sum_of_the_largest_products(seed: int, query: int, lengths: list[int], at_once: int) -> None:
    rng = np.random.default_rng(seed)
    tokens, passages = unit_rows(rng, query), [unit_rows(rng, length) for length in lengths]
    expected = [sum(max(float(q @ t) for t in passage) for q in tokens) for passage in passages]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(late_interaction, "TOKENS_AT_ONCE", at_once)
        assert max_sim(tokens, passages) == pytest.approx(expected, abs=1e-5)


def test_half_precision_is_compared_in_full() -> None:
    rng = np.random.default_rng(1)
    tokens, passages = unit_rows(rng, 32, 128), [unit_rows(rng, 50, 128).astype(np.float16) for _ in range(3)]
    expected = [float((tokens @ passage.astype(np.float32).T).max(axis=1).sum()) for passage in passages]
    assert max_sim(tokens, passages) == pytest.approx(expected, abs=1e-4)


def test_each_query_token_counts_its_best_match() -> None:
    ranking = LateInteraction(Function(words, "embed_tokens")).rerank("tall soup", ["high", "high soup", "tall tall"])
    assert ranking.positions == (1, 2, 0)
    assert [ranked.score for ranked in ranking.kept] == pytest.approx([0.9, 0.5, 0.4])
    assert ranking.scale == COSINE
    assert (ranking.usage.calls, ranking.usage.rounds) == (4, 1)


def test_depth_leaves_the_others_behind() -> None:
    ranking = LateInteraction(Function(words, "embed_tokens"), depth=2).rerank("tall", ["soup", "high", "tall"])
    assert ranking.positions == (1, 0, 2)
    assert ranking.usage.calls == 3


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (Failure("error", "out of memory"), "out of memory"),
        (TokenVectors(np.zeros((0, 3), np.float32)), "no token vectors"),
        (TokenVectors(np.zeros(3, np.float32)), "no token vectors"),
        (TokenVectors(np.ones((2, 4), np.float32)), "vectors of 4 numbers for a query with 3"),
        (TokenVectors(np.full((1, 3), np.nan, np.float32)), "no usable numbers"),
        ([1.0, 2.0], "gave list"),
    ],
)
def test_a_passage_without_vectors_keeps_its_place_and_harms_no_other(odd: Any, said: str) -> None:
    model = Function(lambda call: odd if call.text == "odd" else words(call), "embed_tokens")
    ranking = LateInteraction(model).rerank("tall", ["soup", "odd", "tall"])
    assert ranking.positions == (2, 1, 0)
    assert [ranked.score for ranked in ranking.kept] == pytest.approx([1.0, None, 0.0])
    assert ranking.degraded
    assert said in str(ranking.warnings[0])


@pytest.mark.parametrize("odd", [Failure("error", "down"), TokenVectors(np.zeros((0, 3), np.float32))])
def test_without_the_query_nothing_is_judged(odd: Any) -> None:
    model = Function(lambda call: odd if call.role == "query" else words(call), "embed_tokens")
    ranking = LateInteraction(model).rerank("tall", ["soup", "tall"])
    assert ranking.positions == (0, 1)
    assert ranking.degraded


def test_nothing_in_nothing_out() -> None:
    assert len(LateInteraction(CostOnly()).rerank("tall", [])) == 0


def test_a_model_that_cannot_is_refused_with_what_it_can() -> None:
    with pytest.raises(CapabilityError, match="embed_tokens"):
        LateInteraction(Function(len, "embed"))
