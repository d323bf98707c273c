"""Fusing scores: worked values of each method, and what holds for all scores."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, CrossEncoder, Embedding, FirstStage, Fuse, Lexical, Listwise, Threshold, load
from tamis.errors import ScaleError
from tamis.models import CostOnly, Function
from tamis.values.answers import Failure
from tamis.values.scale import COSINE, FUSION, LOGIT, PROBABILITY, Scale

TEXTS = ["a", "b", "c"]


def scorer(scores: dict[str, Any], scale: Scale = PROBABILITY) -> CrossEncoder:
    return CrossEncoder(Function(lambda call: scores[call.text], "classify", scale=scale))


def fused(method: Any, *branches: Any, weights: tuple[float, ...] | None = None) -> dict[str, float | None]:
    ranking = Fuse(tuple(branches), weights, method).rerank("q", TEXTS)
    return {ranked.text: ranked.score for ranked in ranking.kept}


def two_axes(angle: float) -> Function:
    """Embeds the query and `a`, `b`, `c` ever further from it."""
    return Function(lambda call: [math.cos(t := angle * "qabc".index(call.text)), math.sin(t)], "embed")


def test_the_mean_of_two_cosines_is_their_mean_and_a_cosine() -> None:
    ranking = load("cikmar", models={"embedder": two_axes(0.1), "second_embedder": two_axes(0.3)}).rerank("q", TEXTS)
    assert ranking.scale == COSINE
    assert [r.score for r in ranking.kept] == pytest.approx(
        [(math.cos(0.1 * n) + math.cos(0.3 * n)) / 2 for n in (1, 2, 3)]
    )


def test_a_product_multiplies_powers_of_what_the_scales_make_of_the_scores() -> None:
    sure = scorer({"a": 0.25, "b": 0.5, "c": 1.0})
    logits = scorer({"a": 0.0, "b": 0.0, "c": -1e3}, LOGIT)
    assert fused("product", sure, logits) == pytest.approx(
        {"b": math.sqrt(0.25), "a": math.sqrt(0.125), "c": 0.0}, abs=1e-12
    )
    assert fused("product", sure, logits, weights=(3, 1))["a"] == pytest.approx(0.25**0.75 * 0.5**0.25)


def test_what_a_branch_drops_is_nothing_in_a_product_and_the_least_in_a_mean() -> None:
    cut = scorer({"a": 0.9, "b": 0.6, "c": 0.3}) | Threshold(0.5)
    other = scorer({"a": 0.2, "b": 0.2, "c": 0.8})
    assert fused("product", cut, other)["c"] == 0.0
    assert fused("mean", cut, other)["c"] == pytest.approx((0.6 + 0.8) / 2)


@pytest.mark.parametrize("method", ["mean", "product", "weighted"])
def test_what_a_branch_could_not_judge_is_left_to_the_others(method: Any) -> None:
    half = scorer({"a": Failure("error", "no"), "b": 1.0, "c": 0.0})
    whole = scorer({"a": 0.0, "b": 0.5, "c": 1.0})
    assert fused(method, half, whole)["a"] == 0.0
    neither = fused(method, half, half)
    assert neither["a"] is None
    assert neither["b"] == 1.0


@pytest.mark.parametrize("method", ["mean", "product", "weighted"])
def test_orders_have_no_scores_to_add(method: Any) -> None:
    with pytest.raises(ScaleError, match="ordinal"):
        fused(method, Listwise(CostOnly()), Lexical())


def test_cosines_and_logits_have_no_mean() -> None:
    with pytest.raises(ScaleError, match=r"cosine from Embedding, logit from CrossEncoder.*weighted"):
        fused("mean", Embedding(two_axes(0.1)), scorer(dict.fromkeys(TEXTS, 1.0), LOGIT))


unit = st.floats(0.001, 1.0)
three = st.tuples(unit, unit, unit).map(lambda scores: dict(zip(TEXTS, scores, strict=True)))
weight = st.floats(0.1, 5.0)


@given(first=three, second=three, one=weight, two=weight)
def test_a_product_orders_as_the_product_of_powers_and_stays_between_its_factors(
    first: dict[str, float], second: dict[str, float], one: float, two: float
) -> None:
    found = fused("product", scorer(first), scorer(second), weights=(one, two))
    for text, score in found.items():
        assert score is not None
        assert min(first[text], second[text]) - 1e-9 <= score <= max(first[text], second[text]) + 1e-9
        assert score ** (one + two) == pytest.approx(first[text] ** one * second[text] ** two)


@given(first=three, second=three, one=weight, two=weight, factor=st.floats(0.1, 10))
def test_only_the_proportion_of_weights_counts(
    first: dict[str, float], second: dict[str, float], one: float, two: float, factor: float
) -> None:
    for method in ("product", "mean"):
        plain = fused(method, scorer(first), scorer(second), weights=(one, two))
        assert fused(method, scorer(first), scorer(second), weights=(one * factor, two * factor)) == pytest.approx(
            plain
        )
        assert fused(method, scorer(second), scorer(first), weights=(two, one)) == pytest.approx(plain)


@given(scores=three)
def test_fused_with_itself_or_with_a_branch_of_weight_zero_nothing_changes(scores: dict[str, float]) -> None:
    other = scorer(dict.fromkeys(TEXTS, 0.0))
    for method in ("product", "mean"):
        assert fused(method, scorer(scores), scorer(scores)) == pytest.approx(scores)
        assert fused(method, scorer(scores), other, weights=(1, 0)) == pytest.approx(scores)


def test_a_product_is_of_the_scale_of_fusions() -> None:
    assert Fuse((FirstStage(), FirstStage()), method="product").rerank("q", [Candidate("a", score=1.0)]).scale == FUSION
