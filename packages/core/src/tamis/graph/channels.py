"""The graph of a pool: one channel for each kind of edge, kept apart until a method combines them by weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tamis.graph.edges.base import Edges
from tamis.graph.normalise import largest_one, received_by, row, sym
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, Ints, union


@dataclass(frozen=True, eq=False)
class Channel:
    """The edges of one kind, raw, and how much the kind counts."""

    name: str
    weight: float
    edges: Adjacency

    def spoken_by(self, seeds: NDArray[np.bool_]) -> Channel:
        """Only the edges on which one of `seeds` is listened to."""
        edges, used = self.edges, seeds[self.edges.cols]
        kept = Adjacency(edges.size, edges.rows[used], edges.cols[used], edges.weights[used])
        return replace(self, edges=kept)


def channels(kinds: Sequence[Edges], pool: Pool) -> tuple[Channel, ...]:
    """A channel for each of `kinds`, without those that count nothing."""
    return tuple(Channel(kind.channel, kind.weight, kind.of(pool)) for kind in kinds if kind.weight > 0)


def strengths(graph: Sequence[Channel], size: int) -> Adjacency:
    """How strongly each pair is joined, 0..1: over the channels, the largest weight * sqrt(edge).

    Edges of a channel whose heaviest weighs more than 1 are divided by it.
    """
    rows, cols, values = [], [], []
    for channel in graph:
        edges = largest_one(channel.edges)
        rows.append(edges.rows)
        cols.append(edges.cols)
        values.append(np.minimum(channel.weight * np.sqrt(edges.weights), 1.0))
    if not rows:
        return Adjacency.empty(size)
    return Adjacency.largest(size, np.concatenate(rows), np.concatenate(cols), np.concatenate(values))


def walk(graph: Sequence[Channel], size: int, cap: float = 1.0) -> Adjacency:
    """The channels as one row-stochastic matrix: how much each candidate listens to each other one.

    Each channel is normalised by `sym`, weighted, added, and rows are made to sum to 1. Then a document that is
    listened to with more than `cap` in all (a hub) is turned down to it. What a row lacks to 1, all of it where there
    are no edges, is what the document listens to itself.
    """
    if not graph:
        return _rest_to_self(Adjacency.empty(size))
    joined = row(union(*(_times(sym(channel.edges), channel.weight) for channel in graph)))
    return _rest_to_self(without_hubs(joined, cap))


def without_hubs(edges: Adjacency, cap: float) -> Adjacency:
    """The same edges, those to a document that is listened to with more than `cap` in all turned down to that."""
    received = received_by(edges)
    share = np.divide(cap, received, out=np.ones(edges.size), where=received > cap)
    return edges.scaled(edges.weights * share[edges.cols])


def _times(edges: Adjacency, factor: float) -> Adjacency:
    return edges.scaled(edges.weights * factor)


def _rest_to_self(edges: Adjacency) -> Adjacency:
    own = np.arange(edges.size)
    rest = np.maximum(1.0 - edges.strengths, 0.0)
    return union(edges, Adjacency(edges.size, own, own, rest))


def names(graph: Sequence[Channel], rows: Ints, cols: Ints) -> list[str]:
    """The channel that joins each pair most, by weight and share of its heaviest edge; "" where none does."""
    best = np.zeros(len(rows))
    found = [""] * len(rows)
    for channel in graph:
        held = largest_one(channel.edges).at(rows, cols) * channel.weight
        for place in np.flatnonzero(held > best):
            found[place] = channel.name
        best = np.maximum(best, held)
    return found
