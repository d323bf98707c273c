"""Scores that flow along the edges of a graph."""

from __future__ import annotations

import numpy as np

from tamis.graph.methods.base import Spread, listening, speaking
from tamis.pool.sparse import Adjacency, Floats

ROUNDS = 20
CLOSE = 1e-12


def propagation(scores: Floats, walk: Adjacency, alpha: float) -> Spread:
    """The fixed point of s = (1 - alpha) s0 + alpha P s: each document's score, and its neighbours' in part.

    `walk` is P, row-stochastic, with P_ii = 1 for a document without edges, which so keeps its score; alpha in 0..1. At
    most 20 rounds. A document with worse neighbours loses. Scores stay within those that came in.

    Source: Zhou et al., 2004; Diaz, 2005 for retrieval scores.
    """
    found = scores
    for _ in range(ROUNDS):
        last, found = found, scores + alpha * (walk @ found - scores)
        if np.abs(found - last).max(initial=0.0) < CLOSE:
            break
    found = np.clip(found, scores.min(initial=np.inf), scores.max(initial=-np.inf)) if len(scores) else found
    return Spread(found, speaking(walk, alpha * walk.weights * (found[walk.cols] - scores[walk.rows])))


def pagerank(normalised: Floats, walk: Adjacency, alpha: float, seeds: Floats, damping: float = 0.5) -> Spread:
    """s0 + alpha * max(0, r - s0), r the PageRank of a walk that starts anew at the good documents.

    `normalised`: scores in 0..1, 1 the best. `walk`, row-stochastic, is where the walk goes from a document: to those
    that listen to it. With chance 1 - `damping` it starts anew at a document drawn by `seeds` (numbers >= 0, some > 0).
    r is divided by its largest. A document that listens to nobody keeps its score.

    Source: personalised PageRank (Haveliwala, 2002); Kurland and Lee, 2005 for reranking.
    """
    start = seeds / seeds.sum()
    rank = start
    back = walk.transposed
    for _ in range(ROUNDS):
        last, rank = rank, start + damping * (back @ rank - start)
        if np.abs(rank - last).max() < CLOSE:
            break
    raised = np.where(listening(back), np.maximum(rank / rank.max() - normalised, 0.0), 0.0)
    part = np.divide(alpha * damping * raised, rank, out=np.zeros(len(rank)), where=rank > 0)
    return Spread(normalised + alpha * raised, speaking(back, back.weights * rank[back.cols] * part[back.rows]))
