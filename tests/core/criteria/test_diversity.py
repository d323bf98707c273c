"""Diversity: each time the best by all criteria together, measured against what is already chosen."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, MultiCriteria, Ranking
from tamis.criteria import Criterion, Diversity, Field
from tamis.errors import ConfigError
from tamis.text.terms import COMMON, terms

words = st.lists(st.sampled_from(["sieve", "flour", "mesh", "drum", "cook", "oven", "the"]), max_size=6).map(" ".join)
pools = st.lists(st.tuples(words, st.floats(0, 1)), min_size=1, max_size=10)


def stage(weight: float = 0.5, **options: Any) -> MultiCriteria:
    return MultiCriteria(
        criteria=[
            Criterion("new", weight=weight, source=Diversity()),
            Criterion("good", source=Field("g", low=0, high=1)),
        ],
        **options,
    )


def candidates(pool: list[tuple[str, float]]) -> list[Candidate]:
    return [Candidate(text, score=good, metadata={"g": good}) for text, good in pool]


def cosines(texts: list[str]) -> list[list[float]]:
    """By the book: tf x log(1 + n / df), every pair on its own."""
    counts = [Counter(term for term in terms(text) if term not in COMMON) for text in texts]

    def weight(term: str) -> float:
        return math.log(1 + len(texts) / sum(term in count for count in counts))

    def dot(a: Counter[str], b: Counter[str]) -> float:
        return sum(a[t] * weight(t) * b[t] * weight(t) for t in a)

    def cosine(a: Counter[str], b: Counter[str]) -> float:
        norm = math.sqrt(dot(a, a) * dot(b, b))
        return dot(a, b) / norm if norm else 0.0

    return [[cosine(a, b) for b in counts] for a in counts]


@given(pool=pools, weight=st.floats(0, 3), combine=st.sampled_from(["composite", "normalised", "weighted"]))
def test_the_order_is_that_of_a_literal_greedy_choice(
    pool: list[tuple[str, float]], weight: float, combine: str
) -> None:
    ranking = stage(weight, combine=combine).rerank("q", candidates(pool), scores="similarity")
    near = cosines([text for text, _ in pool])
    low, high = min(g for _, g in pool), max(g for _, g in pool)
    whole = {"composite": 1.0, "normalised": 10 + 5 * weight + 2.5, "weighted": 1.5 + weight}[combine]
    size = {"composite": (10, 5, 5), "normalised": (10, 5, 5), "weighted": (1, 1, 1)}[combine]

    def score(index: int, chosen: list[int]) -> float:
        relevance = (pool[index][1] - low) / (high - low) if high > low else 1.0
        new = 1 - max((near[index][other] for other in chosen), default=0.0)
        return (size[0] * relevance + weight * size[1] * new + 0.5 * size[2] * pool[index][1]) / whole

    chosen: list[int] = []
    for ranked in ranking.kept:
        left = set(range(len(pool))) - set(chosen)
        assert ranked.score == pytest.approx(score(ranked.position, chosen), abs=1e-9)
        assert ranked.score == pytest.approx(max(score(index, chosen) for index in left), abs=1e-9)
        chosen.append(ranked.position)


def test_a_duplicate_is_pushed_below_something_new() -> None:
    pool = [
        ("a drum sieve of fine mesh", 1.0),
        ("a drum sieve of fine mesh", 0.99),
        ("an oven for bread", 0.8),
        ("", 0.0),
    ]
    ranking = stage().rerank("q", candidates(pool))
    assert ranking.positions == (0, 2, 1, 3)
    assert [r.criteria["new"] for r in ranking.kept] == pytest.approx([5, 5, 0, 5])


def test_without_diversity_it_would_not_be() -> None:
    pool = [
        ("a drum sieve of fine mesh", 1.0),
        ("a drum sieve of fine mesh", 0.99),
        ("an oven for bread", 0.8),
        ("", 0.0),
    ]
    assert stage(weight=0).rerank("q", candidates(pool)).positions == (0, 1, 2, 3)


def test_texts_without_words_are_all_new() -> None:
    ranking = stage().rerank("q", candidates([("", 0.5), ("the of", 0.5), ("", 0.5)]))
    assert ranking.positions == (0, 1, 2)
    assert {r.criteria["new"] for r in ranking.kept} == {5.0}


def test_a_gated_candidate_takes_no_ones_place() -> None:
    """What is dropped for relevance is not compared with."""
    pool = [("sieve mesh", 0.0), ("sieve mesh", 1.0), ("oven", 0.9)]
    ranking = stage(gate=3).rerank("q", candidates(pool))
    assert ranking.positions == (1, 2)
    assert ranking.kept[0].criteria["new"] == 5
    assert [d.why for d in ranking.dropped] == ["below_relevance_gate"]


def test_between_equals_the_tie_break_chooses_who_is_new() -> None:
    made = MultiCriteria(
        criteria=[
            Criterion("new", source=Diversity()),
            Criterion("trust", weight=0, source=Field("trust", low=0, high=1)),
        ],
        tie_break="trust",
    )
    twins = [Candidate("sieve", score=1.0, metadata={"trust": trust}) for trust in (0, 1)]
    ranking = made.rerank("q", twins)
    assert ranking.positions == (1, 0)
    assert [r.criteria["new"] for r in ranking.kept] == [5, 0]


@pytest.mark.parametrize("combine", ["lexicographic", "pareto"])
def test_combinations_that_are_not_sums_refuse_it(combine: str) -> None:
    with pytest.raises(ConfigError, match=f"'{combine}'; use 'composite'"):
        stage(combine=combine)


def test_on_its_own_it_compares_with_nothing() -> None:
    ranking = Ranking.of("q", ["a", "a"])
    plan = Diversity().scores(ranking, ranking.kept)
    with pytest.raises(StopIteration) as stop:
        next(plan)
    assert stop.value.value == [1.0, 1.0]


def test_in_a_large_pool_the_rest_is_compared_with_the_first_thousand_and_a_notice_says_so() -> None:
    pool = [(f"mesh w{number % 700} x{number % 31}", 1 - number / 2_000) for number in range(1_030)]
    found = stage().rerank("q", candidates(pool))
    (notice,) = found.warnings
    assert str(notice) == "MultiCriteria: 30 candidates are compared for diversity with the first 1,000 chosen only"
    assert set(notice.positions) == set(found.positions[1_000:])
    scores = [ranked.score for ranked in found.kept]
    assert scores == sorted(scores, reverse=True)
    assert not found.degraded
