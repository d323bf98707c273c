"""Signs of a ranking that need no labels, at the edges of what numbers can be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.values.signs import kendall_tau, variance


def test_variance_is_the_mean_squared_distance_from_the_mean() -> None:
    assert variance([1.0, 2.0, 3.0]) == pytest.approx(2 / 3)
    assert variance([]) == 0.0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_variance_never_raises_whatever_the_scores(scores: list[float]) -> None:
    assert variance(scores) >= 0 or math.isnan(variance(scores))


def test_tau_is_one_for_the_same_order_and_minus_one_for_the_reverse() -> None:
    assert kendall_tau([0, 1, 2, 3]) == 1.0
    assert kendall_tau([3, 2, 1, 0]) == -1.0


@given(order=st.permutations(range(24)), limit=st.integers(1, 24))
def test_a_long_order_is_counted_in_halves_with_the_same_result(order: list[int], limit: int) -> None:
    whole = kendall_tau(order)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tamis.values.signs.SORTED_IN", limit)
        assert kendall_tau(order) == whole
