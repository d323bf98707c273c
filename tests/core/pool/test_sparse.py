"""A sparse matrix does what the dense one does, in blocks of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pools import made, squares
from tamis.pool import sparse
from tamis.pool.sparse import Adjacency, Products, added, cut, cut_cells, mutual, symmetric, union


def same(edges: Adjacency, full: Any) -> bool:
    """Equal, and stored as promised: by row, then column, each pair once, no zeros."""
    keys = edges.rows * max(edges.size, 1) + edges.cols
    return bool(np.array_equal(edges.dense(), full) and np.all(np.diff(keys) > 0) and np.all(edges.weights != 0))


@given(full=squares, cells=st.integers(1, 30), width=st.integers(1, 4))
def test_products_with_vectors_and_arrays_are_those_of_the_dense_matrix(full: Any, cells: int, width: int) -> None:
    edges = made(full)
    values = np.random.default_rng(1).normal(size=(len(full), width))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "CELLS", cells)
        assert np.allclose(edges @ values, full @ values)
    assert np.allclose(edges @ values[:, 0], full @ values[:, 0])
    assert np.allclose(edges.strengths, full.sum(axis=1))
    assert np.allclose(edges.largest_weights, full.max(axis=1, initial=0))


@given(full=squares)
def test_what_is_made_of_a_matrix_is_what_it_says(full: Any) -> None:
    edges = made(full)
    assert same(edges, full)
    assert same(edges.transposed, full.T)
    assert same(symmetric(edges), np.maximum(full, full.T))
    assert same(mutual(edges), np.where((full > 0) & (full.T > 0), full, 0.0))
    assert same(union(edges, edges), 2 * full)
    every = np.arange(len(full))
    rows, cols = np.repeat(every, len(full)), np.tile(every, len(full))
    assert np.array_equal(edges.at(rows, cols), full.ravel())


def test_repeated_edges_add_up_and_self_edges_go() -> None:
    assert Adjacency.of(2, [0, 0, 1], [1, 1, 1], [1.0, 2.0, 5.0]).dense().tolist() == [[0, 3], [0, 0]]
    assert Adjacency.of(2, [1], [1], [5.0], loops=True).dense().tolist() == [[0, 0], [0, 5]]
    assert len(Adjacency.empty(0)) == len(Adjacency.of(3, [0], [1], [0.0])) == 0


@given(full=squares, count=st.integers(1, 5), cells=st.integers(1, 40))
def test_the_nearest_are_the_heaviest_and_ties_across_the_border_stay_out(full: Any, count: int, cells: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "DENSE", cells)
        near = Products(len(full), lambda first, last: full[first:last].copy()).nearest(count)
    for row, kept in zip(full, near.dense(), strict=True):
        ranked = sorted((weight for weight in row if weight > 0), reverse=True)
        border = ranked[count] if len(ranked) > count else 0.0
        assert kept.tolist() == [weight if weight > border else 0.0 for weight in row]


@given(full=squares, count=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_nearest_do_not_depend_on_the_order(full: Any, count: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(full))
    assert np.array_equal(cut(full[order][:, order], count), cut(full, count)[order][:, order])


@given(full=squares, count=st.integers(1, 5))
def test_cells_are_cut_as_the_block_they_come_from(full: Any, count: int) -> None:
    rows, cols = np.nonzero(full)
    kept = cut_cells(rows, full[rows, cols], count)
    assert np.array_equal(np.stack([rows[kept], cols[kept]]), np.nonzero(cut(full, count)))


@given(cells=st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 0.5, 2.0])), max_size=20))
@pytest.mark.parametrize("size", [31, 10_000])
def test_amounts_add_up_by_cell(cells: list[tuple[int, float]], size: int) -> None:
    found, sums = added(np.array([c for c, _ in cells], dtype=np.int64), np.array([a for _, a in cells]), size)
    wanted = {cell: sum(a for c, a in cells if c == cell) for cell, _ in sorted(cells)}
    assert dict(zip(found.tolist(), sums.tolist(), strict=True)) == {c: a for c, a in wanted.items() if a}
