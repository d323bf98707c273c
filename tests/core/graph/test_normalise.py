"""Published and hand-checked values of the edge normalisations, and what holds for any graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from support.pools import made, squares
from tamis.graph.normalise import NORMALISE, doubly_stochastic, received_by, row, row_col, sym
from tamis.pool.sparse import Adjacency

STAR = Adjacency.of(3, [0, 0, 1, 2], [1, 2, 0, 0], [2.0, 1.0, 2.0, 1.0])


def test_a_star_of_weights_2_and_1() -> None:
    assert sym(STAR).dense() == pytest.approx(np.array([[0, 0.8165, 0.5774], [0.8165, 0, 0], [0.5774, 0, 0]]), abs=5e-5)
    assert row(STAR).dense() == pytest.approx(np.array([[0, 2 / 3, 1 / 3], [1, 0, 0], [1, 0, 0]]))
    assert row_col(STAR).dense() == pytest.approx(np.array([[0, 1, 1], [0.5, 0, 0], [0.5, 0, 0]]))


def test_the_doubly_stochastic_form_takes_the_weight_off_direct_neighbours() -> None:
    assert doubly_stochastic(STAR).dense() == pytest.approx(np.array([[1, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]]))


@given(full=squares)
def test_sums_are_one_where_there_are_edges_and_nothing_is_ever_undefined(full: Any) -> None:
    edges = made(full)
    made_of = {name: normalise(edges) for name, normalise in NORMALISE.items()}
    for found in made_of.values():
        assert np.all(np.isfinite(found.weights))
        assert not np.any(found.dense()[full.sum(axis=1) == 0])
    joined, heard = full.sum(axis=1) > 0, full.sum(axis=0) > 0
    assert made_of["row"].strengths == pytest.approx(joined * 1.0)
    assert received_by(made_of["row_col"]) == pytest.approx(heard * 1.0)
    assert made_of["doubly_stochastic"].strengths == pytest.approx(joined * 1.0)
    assert received_by(made_of["doubly_stochastic"]) == pytest.approx(joined * 1.0)


@given(full=squares)
def test_a_symmetric_graph_stays_symmetric(full: Any) -> None:
    edges = made(full + full.T)
    for normalise in (sym, doubly_stochastic):
        found = normalise(edges).dense()
        assert found == pytest.approx(found.T)


@pytest.mark.parametrize("name", NORMALISE)
def test_the_unit_of_a_channel_does_not_matter(name: Any) -> None:
    larger = STAR.scaled(STAR.weights * 1e9)
    assert NORMALISE[name](larger).dense() == pytest.approx(NORMALISE[name](STAR).dense())
