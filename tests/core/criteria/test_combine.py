"""Combinations: the worked values of the method, small cases by hand, and what must hold for all inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.criteria import RELEVANCE, STANDARD, Criterion
from tamis.criteria.combine import (
    COMBINATIONS,
    LEVELS,
    Row,
    composite,
    graded_only,
    highest,
    lexicographic,
    normalised_composite,
    pareto,
    scale_of,
    weighted,
)
from tamis.values.scale import ORDINAL, graded

ONE_TURN = (RELEVANCE, *STANDARD.values())
A, B, C = (Criterion(name, weight=weight) for name, weight in (("a", 1.0), ("b", 0.5), ("c", 0.25)))

Combine = Callable[[Sequence[Row], Sequence[Criterion]], list[float]]
grade = st.one_of(st.none(), st.floats(0, 5), st.integers(0, 5).map(float))
rows = st.lists(st.fixed_dictionaries({"a": grade, "b": grade, "c": grade}), max_size=12)


def row(relevance: float, *others: float) -> dict[str, float]:
    return {"relevance": relevance, **dict(zip(STANDARD, others, strict=True))}


def test_the_worked_example_of_the_method() -> None:
    """R 8 and 4, 3, 5, 4, 2: 8 + .5 x 18 = 17.0, of 22.5 possible: .7556."""
    assert composite([row(8, 4, 3, 5, 4, 2)], ONE_TURN) == [17.0]
    assert normalised_composite([row(8, 4, 3, 5, 4, 2)], ONE_TURN) == [pytest.approx(0.7556, abs=5e-5)]
    assert highest(ONE_TURN) == 22.5


def test_perfect_properties_at_the_gate_beat_full_relevance_without_any() -> None:
    """Legal by the published formula: 15.5 against 10."""
    at_gate, relevant = composite([row(3, 5, 5, 5, 5, 5), row(10, 0, 0, 0, 0, 0)], ONE_TURN)
    assert (at_gate, relevant) == (15.5, 10.0)


def test_three_inferred_criteria_reach_17_5() -> None:
    three = (RELEVANCE, *(Criterion(name) for name in ("accuracy", "context", "neutrality")))
    assert composite([{"relevance": 10, "accuracy": 5, "context": 5, "neutrality": 5}], three) == [17.5]


def test_weighted_is_the_mean_of_shares() -> None:
    criteria = (RELEVANCE, Criterion("depth", weight=3.0, max=4.0))
    assert weighted([{"relevance": 5, "depth": 4}], criteria) == [(1 * 0.5 + 3 * 1.0) / 4]


def test_an_unknown_score_counts_as_the_middle_and_one_off_the_range_is_clipped() -> None:
    assert composite([{"a": None}, {}, {"a": 99}, {"a": -1}], [A]) == [2.5, 2.5, 5.0, 0.0]


def test_lexicographic_by_hand() -> None:
    """The first criterion decides; 3.9 and 4.1 of 5 are the same step, so there the second does."""
    made = lexicographic([{"a": 4.1, "b": 1}, {"a": 3.9, "b": 2}, {"a": 5, "b": 0}, {"a": 0, "b": 5}], [A, B])
    assert made == [1, 2, 3, 0]


def test_pareto_by_hand() -> None:
    """Front 0: (5, 0) and (0, 5); front 1: (3, 0) and (0, 3); front 2: (0, 0). Within a front the heavier criterion."""
    points = [(3, 0), (0, 0), (0, 5), (5, 0), (0, 3)]
    assert pareto([{"a": a, "b": b} for a, b in points], [A, B]) == [2, 0, 3, 4, 1]


def test_equal_rows_score_equally_and_no_rows_give_no_scores() -> None:
    for combine in COMBINATIONS.values():
        assert combine([], [A, B]) == []
        assert len(set(combine([{"a": 2, "b": 3}] * 3, [A, B]))) == 1


@given(rows)
def test_lexicographic_is_ruled_by_the_first_criterion_that_differs(table: list[Row]) -> None:
    criteria = (A, B, C)
    scores, table = lexicographic(table, criteria), graded_only(table, criteria)

    def steps(entry: Row) -> list[int]:
        return [round(LEVELS * (2.5 if entry[c.name] is None else entry[c.name]) / 5) for c in criteria]  # type: ignore[operator]

    for x, first in zip(scores, table, strict=True):
        for y, second in zip(scores, table, strict=True):
            differing = [a - b for a, b in zip(steps(first), steps(second), strict=True) if a != b]
            assert (x > y) == bool(differing and differing[0] > 0)


@given(rows)
def test_no_candidate_stands_above_one_that_dominates_it(table: list[Row]) -> None:
    criteria = (A, B, C)
    scores, table = pareto(table, criteria), graded_only(table, criteria)
    points = [[2.5 if entry[c.name] is None else entry[c.name] for c in criteria] for entry in table]
    for x, first in zip(scores, points, strict=True):
        for y, second in zip(scores, points, strict=True):
            if first != second and all(a >= b for a, b in zip(first, second, strict=True)):  # type: ignore[operator]
                assert x > y


@given(table=rows, name=st.sampled_from("abc"), combine=st.sampled_from(["composite", "normalised", "weighted"]))
def test_a_better_grade_never_lowers_a_score(table: list[Row], name: str, combine: str) -> None:
    criteria = (A, B, C)
    better = [{**entry, name: 5.0} for entry in table]
    before, after = (COMBINATIONS[combine](version, criteria) for version in (table, better))
    assert all(x <= y + 1e-12 for x, y in zip(before, after, strict=True))


@given(table=rows, combine=st.sampled_from(sorted(COMBINATIONS)))
def test_scores_are_finite_and_on_the_scale_they_declare(table: list[Row], combine: str) -> None:
    criteria = (A, B, C)
    scores, scale = COMBINATIONS[combine](table, criteria), scale_of(combine, criteria)
    assert all(math.isfinite(score) for score in scores)
    if scale != ORDINAL:
        assert scale in (graded(0, 1), graded(0, highest(criteria)))
        assert all(-1e-9 <= score <= (scale.high or 0.0) + 1e-9 for score in scores)


@pytest.mark.parametrize("combine", COMBINATIONS.values())
def test_criteria_without_any_weight_divide_nothing_by_zero(combine: Combine) -> None:
    scores = combine([{"a": 1.0}, {"a": 2.0}], [Criterion("a", weight=0)])
    assert all(math.isfinite(score) for score in scores)


@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", -1), ("weight", math.inf), ("weight", math.nan), ("max", 0), ("max", math.inf), ("name", "")],
)
def test_a_criterion_that_cannot_be_summed_is_refused_with_field_and_value(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"Criterion: .*{field}"):
        Criterion(**{"name": "a", field: value})
