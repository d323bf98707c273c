"""A good neighbour raises a document and a bad one does nothing."""

from __future__ import annotations

from tamis.graph.methods.base import Spread, speaking
from tamis.pool.sparse import Adjacency, Floats


def lift(scores: Floats, strengths: Adjacency, alpha: float) -> Spread:
    """s_i + max over j of alpha * strength_ij * max(0, s_j - s_i): each document comes closer to its best neighbour.

    `strengths` are in 0..1 and so is `alpha`, so that the scores stay within those that came in; in a complete graph of
    equal edges they keep their order. No document loses anything.

    >>> import numpy as np
    >>> pair = Adjacency.of(3, [2], [0], [0.5])
    >>> lift(np.array([1.0, 0.6, 0.0]), pair, 1.0).scores.tolist()
    [1.0, 0.6, 0.5]
    """
    shares = speaking(strengths, alpha * strengths.weights * (scores[strengths.cols] - scores[strengths.rows]))
    return Spread(scores + shares.largest_weights, shares)
