"""Two documents that are among the most similar to each other."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tamis.graph.edges.base import Degree, Edges, Share, Weight
from tamis.graph.pool import Pool
from tamis.graph.sparse import Adjacency, Floats, Products, mutual, symmetric
from tamis.part import part


@part
class Neighbours(Edges):
    """Documents each among the other's `degree` nearest; with `mutual` false, among the nearest of one of them.

    `by`: `"terms"`, the cosine of word counts weighted by rarity in the pool, words of the query counted `query_weight`
    times; `"vectors"`, the cosine of embeddings. An edge weighs (cos - t) / (1 - t), t the median cosine of the pool;
    what is at or below t is no edge. Candidates with a cosine of at least `duplicates` are one document twice and get
    no edge.
    """

    by: Literal["terms", "vectors"] = "terms"
    degree: Degree = 8
    mutual: bool = True
    query_weight: Share = 0.0
    max_documents: Annotated[int, Field(ge=2)] = 200
    duplicates: Share = 0.95
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        products = self._cosines(pool)
        median = Median(len(pool))

        def weigh(first: int, block: Floats) -> Floats:
            median.see(first, block)
            block[block >= self.duplicates] = 0.0
            return block

        near = products.nearest(self.degree, weigh)
        threshold = min(max(median.value, 0.0), 1 - 1e-9)
        kept = mutual(near) if self.mutual else symmetric(near)
        above = np.maximum(kept.weights - threshold, 0.0) / (1.0 - threshold)
        return Adjacency.of(kept.size, kept.rows, kept.cols, above)

    @property
    def uses_vectors(self) -> bool:
        return self.by == "vectors"

    def _cosines(self, pool: Pool) -> Products:
        if self.by == "vectors":
            rows = pool.vectors
            return Products(len(pool), lambda first, last: rows[first:last] @ rows.T)
        found = pool.tokens.incidence
        weights = found.rarity * pool.content(pool.tokens, self.query_weight)
        values = (1.0 + np.log(found.counts)) * weights[found.cols]
        norms = np.sqrt(np.bincount(found.rows, values**2, minlength=found.size))
        values = np.divide(values, norms[found.rows], out=np.zeros(len(values)), where=norms[found.rows] > 0)
        joining = (weights > 0) & found.connecting(1.0, self.max_documents)
        return found.only(joining).products(values[joining[found.cols]])


class Median:
    """The median of the off-diagonal cells of a matrix seen block by block: exact up to 2,000 rows, else to 1/2000."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._cells: list[Floats] = []
        self._counts = np.zeros(4001, dtype=np.int64)

    def see(self, first: int, block: Floats) -> None:
        off = np.ones(block.shape, dtype=bool)
        off[np.arange(len(block)), np.arange(first, first + len(block))] = False
        if self.size <= 2000:
            self._cells.append(block[off])
        else:
            self._counts += np.bincount(np.rint((block[off] + 1) * 2000).astype(np.int64), minlength=4001)

    @property
    def value(self) -> float:
        if self._cells:
            cells = np.concatenate(self._cells)
            return float(np.median(cells)) if len(cells) else 0.0
        total = np.cumsum(self._counts)
        return float(np.searchsorted(total, total[-1] / 2)) / 2000 - 1
