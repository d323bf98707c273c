"""Maximal marginal relevance and largest volumes, against their definitions read literally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.pool import variety
from tamis.pool.similar import Rows
from tamis.pool.variety import greedy, largest_volume, marginal_relevance

shares = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])
rows = st.sampled_from([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.6, 0.8), (0.8, 0.6)])
pools = st.lists(st.tuples(shares, rows), max_size=8)


def arrays(pool: list[tuple[float, tuple[float, float]]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in pool]), np.array([row for _, row in pool]).reshape(-1, 2)


@given(pool=pools, loss=shares)
def test_each_choice_is_the_best_that_is_left(pool: list[tuple[float, tuple[float, float]]], loss: float) -> None:
    relevance, vectors = arrays(pool)
    order, nearest = marginal_relevance(relevance, Rows(vectors), loss)
    assert sorted(order) == list(range(len(pool)))
    for place, index in enumerate(order):
        gains = {
            i: relevance[i] - loss * max((float(vectors[i] @ vectors[j]) for j in order[:place]), default=0.0)
            for i in order[place:]
        }
        assert gains[index] == pytest.approx(max(gains.values()), abs=1e-9)
        assert index == next(i for i in sorted(gains) if gains[i] >= max(gains.values()) - 1e-12)
        assert relevance[index] - loss * nearest[index] == pytest.approx(gains[index], abs=1e-9)


def test_what_gains_too_little_is_not_chosen() -> None:
    gains = np.array([0.0, 3.0, 0.5, 2.0])
    taken: list[int] = []
    assert greedy(lambda: gains, taken.append, 4, enough=1.0) == taken == [1, 3]


def naive_volume(weight: np.ndarray, vectors: np.ndarray) -> list[int]:
    """Greedy by the definition: what is left of each row outside the space of those chosen."""
    left, order = weight[:, None] * vectors, list[int]()
    most = float((left**2).sum(axis=1).max(initial=0.0))
    while len(order) < len(weight):
        gains = np.round((left**2).sum(axis=1), 12)
        gains[order] = -np.inf
        best = int(np.argmax(gains))
        if not gains[best] > 1e-9 * most:
            break
        order.append(best)
        unit = left[best] / np.linalg.norm(left[best])
        left = left - np.outer(left @ unit, unit)
    return order


@given(seed=st.integers(0, 200), size=st.integers(0, 40), width=st.integers(1, 12))
def test_each_choice_adds_most_to_the_volume(seed: int, size: int, width: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(size, width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    if size > 3:
        vectors[2], vectors[3] = vectors[0], 0.0
    weight = draw.uniform(0.5, 1.0, size=size)
    assert largest_volume(weight, Rows(vectors)) == naive_volume(weight, vectors)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(variety, "FIRST", 3)
        patched.setattr(variety, "PART", 2)
        assert largest_volume(weight, Rows(vectors)) == naive_volume(weight, vectors)


class Counted(Rows):
    asked = 0

    def to(self, index: int) -> np.ndarray:
        type(self).asked += 1
        return super().to(index)


@pytest.mark.parametrize("size", [50, 400])
def test_a_large_pool_is_compared_with_a_bounded_number_of_choices(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variety, "MOST", 7)
    vectors = np.random.default_rng(1).normal(size=(size, 30))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for chosen in (
        lambda rows: marginal_relevance(np.linspace(1, 0, len(rows)), rows, 0.5)[0],
        lambda rows: largest_volume(np.ones(len(rows)), rows),
    ):
        Counted.asked = 0
        assert len(chosen(Counted(vectors))) == 7
        assert Counted.asked <= 2 * 7
