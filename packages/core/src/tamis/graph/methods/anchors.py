"""Documents described by what they are similar to, and compared with what the query is similar to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tamis.graph.methods.base import Spread, listening, speaking
from tamis.pool.sparse import Adjacency, Floats, summed, union


def anchors(normalised: Floats, channels: Sequence[Adjacency], alpha: float) -> Spread:
    """(1 - alpha) s0 + alpha a, a_i the cosine of document i's similarities to all documents with the query's, s0.

    `normalised`: scores in 0..1, 1 the best. `channels` hold similarities in 0..1, to which each document's similarity
    to itself, 1, is added; a is averaged over them and divided by its largest. A document without edges keeps its
    score.

    Source: the representation of HybRank (Zhang et al., 2023) without its network.
    """
    own = np.arange(len(normalised))
    found = np.zeros(len(normalised))
    joined = np.zeros(len(normalised), dtype=bool)
    parts = [Adjacency.empty(len(normalised))]
    for edges in channels:
        similar = union(edges, Adjacency(len(normalised), own, own, np.ones(len(normalised))))
        length = np.sqrt(summed(similar.rows, similar.weights**2, len(normalised)))
        found += (similar @ normalised) / length
        joined |= listening(edges)
        parts.append(similar.scaled(similar.weights * normalised[similar.cols] / length[similar.rows]))
    largest = found.max(initial=0.0)
    if largest <= 0:
        return Spread(normalised, parts[0])
    shares = union(*parts)
    moved = np.where(joined, found / largest - normalised, 0.0)
    return Spread(normalised + alpha * moved, speaking(shares, alpha * shares.weights / largest))
