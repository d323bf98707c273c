"""What every method on scores gives back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tamis.pool.sparse import Adjacency, Floats


class Spread(NamedTuple):
    """New scores, between the smallest and the largest that came in, and what in them came from whom.

    `shares`: the weight of edge (i, j) is what document j adds to the score of document i, as far as it raises it.
    """

    scores: Floats
    shares: Adjacency


def listening(edges: Adjacency) -> NDArray[np.bool_]:
    """Which documents have an edge to another."""
    found = np.zeros(edges.size, dtype=bool)
    found[edges.rows[edges.rows != edges.cols]] = True
    return found


def speaking(edges: Adjacency, amounts: Floats) -> Adjacency:
    """The edges with a positive amount, weighing it; no self-edges."""
    used = (amounts > 0) & (edges.rows != edges.cols)
    return Adjacency(edges.size, edges.rows[used], edges.cols[used], amounts[used])
