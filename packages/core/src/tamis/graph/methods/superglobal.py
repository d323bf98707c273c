"""Vectors smoothed within a shortlist, and a query vector made of the best of them."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveInt

from tamis.graph.edges.neighbours import COMPARED
from tamis.graph.methods.refiner import Refiner, best
from tamis.parts.numbers import NonNegative
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, Floats, Products
from tamis.values.scale import FUSION, Scale


@part
class SuperGlobal(Refiner):
    """The mean of q . x' and q' . x'.

    x' is the mean of a candidate (weight 1) and its `neighbours` nearest (weight `beta` * cosine, positive ones only).
    q' is the largest of each number (`pooling` `"max"`) or the mean over the `neighbours` + 1 candidates with the
    highest q . x'. The maximum was made for image features, which are never negative. The scores are products of
    vectors not of length 1, comparable within one query: scale `fusion`.

    Source: SuperGlobal (Shao et al., 2023), its reranking.
    """

    neighbours: PositiveInt = 9
    beta: NonNegative = 0.15
    pooling: Literal["max", "mean"] = "max"

    scale: ClassVar[Scale] = FUSION

    @property
    def compares(self) -> bool:
        return True

    def scores(self, query: Floats, rows: Floats, normalised: Floats, pool: Pool) -> Floats:
        few = rows[:COMPARED]
        near = Products(len(few), lambda first, last: few[first:last] @ few.T).nearest(self.neighbours)
        near = Adjacency(len(rows), near.rows, near.cols, near.weights)
        refined = self._refined(rows, near)
        plain = refined @ query
        chosen = refined[best(plain, self.neighbours + 1) > 0]
        lead = chosen.max(axis=0, initial=-np.inf) if self.pooling == "max" else chosen.mean(axis=0)
        return (plain + refined @ lead) / 2

    def _refined(self, rows: Floats, near: Adjacency) -> Floats:
        weighted = near.scaled(near.weights * self.beta)
        return (rows + weighted @ rows) / (1.0 + weighted.strengths[:, None])
