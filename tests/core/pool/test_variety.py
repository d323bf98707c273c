"""Maximal marginal relevance, against the definition read literally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.pool.variety import greedy, marginal_relevance

shares = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])
rows = st.sampled_from([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.6, 0.8), (0.8, 0.6)])


@given(pool=st.lists(st.tuples(shares, rows), max_size=8), loss=shares)
def test_each_choice_is_the_best_that_is_left(pool: list[tuple[float, tuple[float, float]]], loss: float) -> None:
    relevance = np.array([score for score, _ in pool])
    vectors = np.array([row for _, row in pool]).reshape(-1, 2)
    order, nearest = marginal_relevance(relevance, vectors, loss)
    assert sorted(order) == list(range(len(pool)))
    for place, index in enumerate(order):
        gains = {
            i: relevance[i] - loss * max((float(vectors[i] @ vectors[j]) for j in order[:place]), default=0.0)
            for i in order[place:]
        }
        assert gains[index] == pytest.approx(max(gains.values()), abs=1e-9)
        assert relevance[index] - loss * nearest[index] == pytest.approx(gains[index], abs=1e-9)


def test_what_gains_too_little_follows_in_order() -> None:
    gains = np.array([0.0, 3.0, 0.5, 2.0])
    taken: list[int] = []
    assert greedy(lambda: gains, taken.append, 4, enough=1.0) == [1, 3, 0, 2]
    assert taken == [1, 3]
