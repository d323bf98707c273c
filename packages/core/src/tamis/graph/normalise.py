"""How the weights of one edge channel are made comparable between documents of many and of few neighbours.

Every function takes a non-negative `Adjacency` and returns one of the same size; 0 / 0 counts as 0, so a document
without edges has none afterwards. Channels are normalised one by one and stay separate until someone adds them up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from tamis.pool.sparse import Adjacency, Floats, summed
from tamis.pool.terms import runs

Normalisation = Literal["sym", "row", "row_col", "doubly_stochastic"]


def sym(edges: Adjacency) -> Adjacency:
    """w_ij / sqrt(d_i d_j) with d the sums of rows and of columns. Same edges; symmetric where `edges` are.

    Source: Kipf and Welling, 2017.

    >>> star = Adjacency.of(3, [0, 0, 1, 2], [1, 2, 0, 0], [2.0, 1.0, 2.0, 1.0])
    >>> sym(star).dense()[0].round(4).tolist()
    [0.0, 0.8165, 0.5774]
    """
    sent, received = edges.strengths[edges.rows], received_by(edges)[edges.cols]
    return edges.scaled(_ratio(edges.weights, np.sqrt(sent) * np.sqrt(received)))


def row(edges: Adjacency) -> Adjacency:
    """w_ij / d_i: every row with edges sums to 1. Same edges."""
    return edges.scaled(_ratio(edges.weights, edges.strengths[edges.rows]))


def row_col(edges: Adjacency) -> Adjacency:
    """Rows first, then columns: every column with edges sums to 1. Same edges."""
    first = row(edges)
    return first.scaled(_ratio(first.weights, received_by(first)[first.cols]))


def doubly_stochastic(edges: Adjacency) -> Adjacency:
    """Rows and columns sum to 1 over the documents that have edges. Symmetric; other edges than before.

    E_ij = sum_k R_ik R_jk / sum_v R_vk, R the row-normalised weights. It joins documents two steps apart, to themselves
    too, and may take the weight off those one step apart. Source: Gong and Cheng, 2019 (cited by G-RAG).
    """
    first = row(edges)
    back = first.transposed
    lengths = np.diff(back.starts)
    partner, edge = runs(first.cols, lengths)
    shared = _ratio(first.weights, received_by(first)[first.cols])
    return Adjacency.of(
        edges.size, first.rows[edge], back.cols[partner], shared[edge] * back.weights[partner], loops=True
    )


NORMALISE: Mapping[Normalisation, Callable[[Adjacency], Adjacency]] = {
    "sym": sym,
    "row": row,
    "row_col": row_col,
    "doubly_stochastic": doubly_stochastic,
}


def largest_one(edges: Adjacency) -> Adjacency:
    """Edges in 0..1: divided by the heaviest where that weighs more than 1. Same edges."""
    return edges.scaled(edges.weights / max(1.0, edges.weights.max(initial=0.0)))


def received_by(edges: Adjacency) -> Floats:
    """Sum of the weights of each column."""
    return summed(edges.cols, edges.weights, edges.size)


def _ratio(weights: Floats, divisors: Floats) -> Floats:
    return np.divide(weights, divisors, out=np.zeros(len(weights)), where=divisors > 0)
