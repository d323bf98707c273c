"""A sparse square matrix in plain numpy, and the products that build one without ever holding n x n numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CELLS = 1 << 17
"""How many numbers a block of a sparse product holds at once: what stays in a processor's cache."""
DENSE = 1 << 21
"""The same for a product of dense rows, which its library cuts up itself."""
WHOLE = 2_000
"""Rows up to which a sparse product is computed cell by cell, which is faster."""
TIE = 1e-9
"""Weights that differ by less than this share of the larger one are equal."""


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Weights of directed edges between `size` nodes: `weights[e]` from `rows[e]` to `cols[e]`, by row, then column.

    Build it with `Adjacency.of`, which sorts, adds up repeated edges and leaves out self-edges and zeros.

    >>> pair = Adjacency.of(3, [0, 1], [1, 0], [2.0, 2.0])
    >>> (pair @ np.array([1.0, 10.0, 5.0])).tolist()
    [20.0, 2.0, 0.0]
    """

    size: int
    rows: Ints
    cols: Ints
    weights: Floats

    @classmethod
    def of(cls, size: int, rows: Any, cols: Any, weights: Any, *, loops: bool = False) -> Adjacency:
        """From edges in any order; weights must be finite. `loops`: keep edges from a node to itself."""
        row, col = np.asarray(rows, dtype=np.int64), np.asarray(cols, dtype=np.int64)
        weight = np.asarray(weights, dtype=np.float64)
        used = (weight != 0) if loops else (weight != 0) & (row != col)
        keys, place = np.unique(row[used] * max(size, 1) + col[used], return_inverse=True)
        return cls(size, keys // max(size, 1), keys % max(size, 1), summed(place, weight[used], len(keys)))

    @classmethod
    def largest(cls, size: int, rows: Ints, cols: Ints, weights: Floats) -> Adjacency:
        """From edges in any order, repeated ones taken once with their largest weight; weights must be > 0."""
        keys, place = np.unique(rows * max(size, 1) + cols, return_inverse=True)
        most = np.zeros(len(keys))
        np.maximum.at(most, place, weights)
        return cls(size, keys // max(size, 1), keys % max(size, 1), most)

    @classmethod
    def empty(cls, size: int) -> Adjacency:
        none = np.zeros(0, dtype=np.int64)
        return cls(size, none, none, np.zeros(0))

    def __len__(self) -> int:
        """How many directed edges."""
        return len(self.weights)

    @cached_property
    def starts(self) -> Ints:
        """Where each row begins in the edge arrays; `size + 1` numbers."""
        return np.searchsorted(self.rows, np.arange(self.size + 1))

    @cached_property
    def strengths(self) -> Floats:
        """Sum of the weights of each row."""
        return summed(self.rows, self.weights, self.size)

    @property
    def transposed(self) -> Adjacency:
        return Adjacency.of(self.size, self.cols, self.rows, self.weights, loops=True)

    def scaled(self, weights: Floats) -> Adjacency:
        """The same edges with other weights."""
        return Adjacency(self.size, self.rows, self.cols, weights)

    def dense(self) -> Floats:
        """As a `size` x `size` array: for small graphs and for tests."""
        full = np.zeros((self.size, self.size))
        full[self.rows, self.cols] = self.weights
        return full

    def __matmul__(self, values: Floats) -> Floats:
        """The product with a vector of `size` numbers or with a `size` x d array."""
        if values.ndim == 1:
            return summed(self.rows, self.weights * values[self.cols], self.size)
        out = np.zeros((self.size, values.shape[1]))
        for first, last in spans(np.diff(self.starts) * values.shape[1], CELLS):
            edges = slice(self.starts[first], self.starts[last])
            rows = self.rows[edges]
            if len(rows):
                begins = np.flatnonzero(np.diff(rows, prepend=-1))
                parts = self.weights[edges, None] * values[self.cols[edges]]
                out[rows[begins]] = np.add.reduceat(parts, begins, axis=0)
        return out

    @property
    def largest_weights(self) -> Floats:
        """The largest weight of each row, 0 where there is no edge or only negative ones."""
        out = np.zeros(self.size)
        np.maximum.at(out, self.rows, self.weights)
        return out

    def at(self, rows: Ints, cols: Ints) -> Floats:
        """The weights of the given pairs, 0 where there is no edge."""
        own, asked = self.rows * self.size + self.cols, rows * self.size + cols
        place = np.searchsorted(own, asked)
        found = place < len(own)
        found[found] = own[place[found]] == asked[found]
        return np.where(found, self.weights[np.where(found, place, 0)] if len(own) else 0.0, 0.0)


def summed(places: Ints, amounts: Floats, size: int) -> Floats:
    """The sum of the amounts at each of `size` places."""
    return np.bincount(places, amounts, minlength=size).astype(np.float64, copy=False)


def distinct(keys: Ints) -> Ints:
    """The different ones of some numbers >= 0, in order."""
    ordered = np.sort(keys)
    return ordered[np.diff(ordered, prepend=-1) != 0]


def union(*parts: Adjacency) -> Adjacency:
    """The sum of matrices of the same size."""
    joined = [np.concatenate([getattr(p, name) for p in parts]) for name in ("rows", "cols", "weights")]
    return Adjacency.of(parts[0].size, *joined, loops=True)


def symmetric(edges: Adjacency) -> Adjacency:
    """Each edge both ways, with the larger of the two weights."""
    rows, cols = np.concatenate([edges.rows, edges.cols]), np.concatenate([edges.cols, edges.rows])
    return Adjacency.largest(edges.size, rows, cols, np.concatenate([edges.weights, edges.weights]))


def mutual(edges: Adjacency) -> Adjacency:
    """Only the edges that go both ways."""
    both = edges.at(edges.cols, edges.rows) != 0
    return Adjacency(edges.size, edges.rows[both], edges.cols[both], edges.weights[both])


def cut(block: Floats, count: int) -> NDArray[np.bool_]:
    """Which cells are among the `count` largest positive ones of their row.

    Cells that tie across that border are all left out: to choose among equals by place would make the graph depend on
    the order of the candidates.
    """
    limit = np.zeros((len(block), 1))
    if block.shape[1] > count:
        limit = np.maximum(np.partition(block, -count - 1, axis=1)[:, [-count - 1]], 0.0)
    return block > limit * (1 + TIE)


def cut_cells(rows: Ints, weights: Floats, count: int) -> Ints:
    """As `cut`, for the cells of a sparse matrix, whose rows must be sorted: the indices of those that stay."""
    order = np.lexsort((-weights, rows))
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    lengths = np.diff(begins, append=len(rows))
    limits = np.zeros(len(begins))
    limits[lengths > count] = np.maximum(weights[order[begins[lengths > count] + count]], 0.0)
    return np.flatnonzero(weights > np.repeat(limits, lengths) * (1 + TIE))


def added(cells: Ints, amounts: Floats, size: int) -> tuple[Ints, Floats]:
    """The different ones of some `cells` below `size`, in order, and the sum of the amounts of each; none of 0."""
    if size <= 16 * len(cells):
        sums = summed(cells, amounts, size)
        found = np.flatnonzero(sums)
        return found, sums[found]
    found, place = np.unique(cells, return_inverse=True)
    sums = summed(place, amounts, len(found))
    return found[sums != 0], sums[sums != 0]


Weigh = Callable[[Ints, Ints, Floats], Floats]
"""New weights of cells from their rows, columns and weights. The three broadcast: cells of a sparse matrix one after
the other, or a block of a dense one. May write into the weights."""


@dataclass(frozen=True)
class Products:
    """A `size` x `size` matrix that is computed in blocks: `block(first, last)` gives those rows, as an array to keep.

    `costs`: how many numbers are held while each row is computed, besides the row itself. `cells(first, last)`: rows,
    columns and weights of the cells that are not 0, for a matrix most of whose cells are.
    """

    size: int
    block: Callable[[int, int], Floats]
    costs: Ints | None = None
    cells: Callable[[int, int], tuple[Ints, Ints, Floats]] | None = None

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Where each block begins, and the block. None holds more than N numbers, unless a single row does."""
        rows = np.full(self.size, self.size)
        parts = spans(rows, DENSE) if self.costs is None else spans(np.maximum(self.costs, rows), CELLS)
        for first, last in parts:
            yield first, self.block(first, last)

    def nearest(self, count: int, weigh: Weigh = lambda rows, cols, weights: weights) -> Adjacency:
        """The `count` heaviest edges of each row, in time for the cells that are not 0 where the matrix is large and
        sparse."""
        sparse = self.cells is not None and self.costs is not None and self.size > WHOLE
        found = list(self._of_cells(count, weigh) if sparse else self._of_blocks(count, weigh))
        if not found:
            return Adjacency.empty(self.size)
        rows, cols, weights = (np.concatenate(column) for column in zip(*found, strict=True))
        return Adjacency(self.size, rows, cols, weights)

    def _of_blocks(self, count: int, weigh: Weigh) -> Iterator[tuple[Ints, Ints, Floats]]:
        cols = np.arange(self.size)
        for first, block in self.blocks():
            own = np.arange(first, first + len(block))
            block[own - first, own] = 0.0
            weights = weigh(own[:, None], cols, block)
            row, col = np.nonzero(cut(weights, count))
            yield row + first, col, weights[row, col]

    def _of_cells(self, count: int, weigh: Weigh) -> Iterator[tuple[Ints, Ints, Floats]]:
        assert self.cells is not None
        assert self.costs is not None
        for first, last in spans(self.costs + 1, CELLS):
            rows, cols, weights = self.cells(first, last)
            others = rows != cols
            rows, cols = rows[others], cols[others]
            weights = weigh(rows, cols, weights[others])
            kept = cut_cells(rows, weights, count)
            yield rows[kept], cols[kept], weights[kept]


def spans(sizes: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Consecutive runs of rows that together cost at most `most`, or single rows that cost more."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield first, last
        first = last
