"""A query vector moved towards candidates that are likely good."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveInt

from tamis.graph.methods.refiner import Refiner, best
from tamis.parts.numbers import NonNegative, Positive
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Floats
from tamis.text.vectors import unit_length


@part
class AlphaQE(Refiner):
    """The cosine to q' = q + sum over the `first` nearest candidates of max(0, q . x)^`alpha` x.

    Source: alpha query expansion (Radenovic et al., 2019).
    """

    first: PositiveInt = 3
    alpha: NonNegative = 3.0

    def scores(self, query: Floats, rows: Floats, normalised: Floats, pool: Pool) -> Floats:
        return rows @ expanded(query, rows, self.first, self.alpha)


def expanded(query: Floats, rows: Floats, first: int, alpha: float) -> Floats:
    """q', of length 1.

    >>> import numpy as np
    >>> expanded(np.array([0.96, 0.28]), np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]]), 3, 3.0).round(4)
    array([0.9217, 0.3879])
    """
    plain = rows @ query
    return unit_length(query + (best(plain, first) * np.maximum(plain, 0.0) ** alpha) @ rows)


@part
class Rocchio(Refiner):
    """The cosine to q' = q + `beta` * the mean of the `first` best candidates so far, weighted by a softmax of their
    scores.

    The scores are those the candidates come in with, brought to 0..1 and divided by `temperature`: pseudo-relevance
    feedback. Source: Rocchio, 1971; in the place of the listwise prompt of E2Rank (Liu et al., 2025).
    """

    first: PositiveInt = 20
    beta: NonNegative = 0.3
    temperature: Positive = 0.05

    def scores(self, query: Floats, rows: Floats, normalised: Floats, pool: Pool) -> Floats:
        weights = best(normalised, self.first) * np.exp((normalised - normalised.max(initial=0.0)) / self.temperature)
        return rows @ unit_length(query + self.beta * (weights / max(weights.sum(), 1e-300)) @ rows)
