"""From scores and a graph to new scores, on plain arrays."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Literal

import numpy as np

from tamis.graph.channels import Channel, strengths, walk, without_hubs
from tamis.graph.methods.anchors import anchors
from tamis.graph.methods.base import Spread
from tamis.graph.methods.lift import lift
from tamis.graph.methods.propagation import pagerank, propagation
from tamis.pool.sparse import Adjacency, Floats

Method = Literal["lift", "propagation", "pagerank", "anchors"]
ALPHA: Mapping[Method, float] = {"lift": 0.9, "propagation": 0.3, "pagerank": 0.9, "anchors": 0.6}
"""How much neighbours count when nobody says: what did best on collections kept for tuning."""
HUB = 5.0
"""A document that is joined to others with more than this strength in all lifts each of them less."""


def spread(
    scores: Any,
    graph: Sequence[Channel],
    method: Method = "lift",
    alpha: float | None = None,
    seeds: int | None = None,
) -> Spread:
    """New scores of n documents from their old ones, best = highest, and the channels of their graph.

    `alpha` in 0..1: how much neighbours count; 0 changes nothing. `seeds`: only the best N documents (and
    those that tie with the last of them) raise others. The new scores lie between the smallest and the largest old
    one; documents without edges keep theirs, exactly.

    >>> from tamis import Candidate, Query
    >>> from tamis.graph import Mentions, channels
    >>> from tamis.pool.pool import Pool
    >>> emma, austen = Candidate("Emma, by Jane Austen"), Candidate("Born 1775", title="Jane Austen")
    >>> spread([2.0, 1.0], channels([Mentions()], Pool(Query("who wrote it"), [emma, austen]))).scores.tolist()
    [2.0, 1.9]
    """
    old = np.asarray(scores, dtype=np.float64)
    lowest, highest = old.min(initial=inf), old.max(initial=-inf)
    half = highest / 2 - lowest / 2
    if not half > 0:
        return Spread(old, Adjacency.empty(len(old)))
    normalised = np.clip((old / 2 - lowest / 2) / half, 0.0, 1.0)
    found = _spread_on(normalised, graph, method, ALPHA[method] if alpha is None else alpha, seeds)
    added = (found.scores - normalised) * half
    shares = np.minimum(found.shares.weights * half, sys.float_info.max / 2) * 2
    return Spread(np.clip(old + added + added, lowest, highest), found.shares.scaled(shares))


def _spread_on(normalised: Floats, graph: Sequence[Channel], method: Method, alpha: float, seeds: int | None) -> Spread:
    size = len(normalised)
    first = normalised >= (np.partition(normalised, -seeds)[-seeds] if seeds is not None and seeds < size else 0.0)
    if method == "pagerank":
        back = [replace(channel, edges=channel.edges.transposed) for channel in graph]
        return pagerank(normalised, walk(back, size, cap=inf), alpha, normalised * first)
    heard = graph if first.all() else [channel.spoken_by(first) for channel in graph]
    if method == "propagation":
        return propagation(normalised, walk(heard, size), alpha)
    if method == "anchors":
        return anchors(normalised, [strengths([channel], size) for channel in heard], alpha)
    return lift(normalised, without_hubs(strengths(heard, size), HUB), alpha)
