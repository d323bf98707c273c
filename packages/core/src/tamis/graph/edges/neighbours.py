"""Two documents that are among the most similar to each other."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tamis.graph.edges.base import Degree, Edges, Weight
from tamis.parts.numbers import Share, TwoOrMore
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import TIE, Adjacency, Floats, Ints, Products, mutual, symmetric

COMPARED = 4_000
"""Candidates whose vectors are compared, each with each: the first that have one."""


@part
class Neighbours(Edges):
    """Documents each among the other's `degree` nearest; with `mutual` false, among the nearest of one of them.

    `by`: `"terms"`, the cosine of word counts weighted by rarity in the pool, words of the query counted `query_weight`
    times; `"vectors"`, the cosine of embeddings, of the first 4,000 candidates only, which stages report. An edge
    weighs (cos - t) / (1 - t), t the median cosine of the pool; what is at or below t is no edge. Candidates with a
    cosine of at least `duplicates` are one document twice and get no edge.
    """

    by: Literal["terms", "vectors"] = "terms"
    degree: Degree = 5
    mutual: bool = True
    query_weight: Share = 0.0
    max_documents: TwoOrMore = 100
    duplicates: Share = 0.95
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        products = self._cosines(pool)
        median = Median(len(pool))
        same = self.duplicates * (1 - TIE)

        def weigh(rows: Ints, cols: Ints, weights: Floats) -> Floats:
            median.see(weights[(cols > rows) & (weights > 0)])
            if weights.max(initial=0.0) >= same:
                weights[weights >= same] = 0.0
            return weights

        near = self._placed(products.nearest(self.degree, weigh), pool)
        threshold = min(max(median.value, 0.0), 1 - 1e-9)
        kept = mutual(near) if self.mutual else symmetric(near)
        above = np.maximum(kept.weights - threshold, 0.0) / (1.0 - threshold)
        return Adjacency.of(kept.size, kept.rows, kept.cols, above)

    @property
    def uses_vectors(self) -> bool:
        return self.by == "vectors"

    def _placed(self, near: Adjacency, pool: Pool) -> Adjacency:
        """The edges of those that were compared as edges of the pool."""
        if self.by == "terms":
            return near
        places = _with_vector(pool)
        return Adjacency(len(pool), places[near.rows], places[near.cols], near.weights)

    def _cosines(self, pool: Pool) -> Products:
        if self.by == "vectors":
            rows = pool.vectors[_with_vector(pool)]
            return Products(len(rows), lambda first, last: rows[first:last] @ rows.T)
        found = pool.tokens.incidence
        weights = found.rarity * pool.content(pool.tokens, self.query_weight)
        values = found.normalised((1.0 + np.log(found.counts)) * weights[found.cols])
        joining = (weights > 0) & found.connecting(1.0, self.max_documents)
        return found.only(joining).products(values[joining[found.cols]])


def _with_vector(pool: Pool) -> Ints:
    return np.flatnonzero(pool.vectors.any(axis=1))[:COMPARED]


class Median:
    """The (lower) median of the cells above the diagonal of a matrix that is seen in parts, or 0 where it is negative.

    Exact up to 2,000 rows, to 1/2000 beyond.
    """

    def __init__(self, size: int) -> None:
        self._rest = size * (size - 1) // 2
        self._middle = (self._rest - 1) // 2
        self._exact = size <= 2000
        self._positive: list[Floats] = []
        self._counts = np.zeros(2001, dtype=np.int64)

    def see(self, positive: Floats) -> None:
        """Some of the cells above the diagonal, all of them > 0."""
        self._rest -= len(positive)
        if self._exact:
            self._positive.append(positive)
        else:
            self._counts += np.bincount(np.rint(np.minimum(positive, 1.0) * 2000).astype(np.int64), minlength=2001)

    @property
    def value(self) -> float:
        above = self._middle - self._rest
        if above < 0:
            return 0.0
        if self._exact:
            return float(np.partition(np.concatenate(self._positive), above)[above])
        return float(np.searchsorted(np.cumsum(self._counts), above, side="right")) / 2000
