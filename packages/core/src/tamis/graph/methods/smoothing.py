"""Vectors that take in part of their neighbours' vectors."""

from __future__ import annotations

from pydantic import PositiveInt

from tamis.graph.channels import channels, walk
from tamis.graph.edges.base import EdgesRef
from tamis.graph.edges.neighbours import Neighbours
from tamis.graph.methods.refiner import Refiner
from tamis.parts.numbers import Share
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, Floats
from tamis.text.vectors import unit_length


@part
class Smoothing(Refiner):
    """The cosine to the query after `steps` times X' = (1 - alpha) X + alpha P X.

    P is the row-stochastic graph of `edges`, its hubs turned down (see `graph.channels.walk`). A candidate without
    edges keeps its vector. With `Structure(links=None)`, one step and alpha = l / (1 + l) this is p' = p + l * the mean
    of the other chunks of its document: the untrained side of EBCAR (2025).

    Source: simple graph convolution (Wu et al., 2019).
    """

    edges: tuple[EdgesRef, ...] = (Neighbours(by="vectors"),)
    alpha: Share = 0.1
    steps: PositiveInt = 2

    @property
    def compares(self) -> bool:
        return any(kind.uses_vectors for kind in self.edges)

    def scores(self, query: Floats, rows: Floats, normalised: Floats, pool: Pool) -> Floats:
        return smoothed(rows, walk(channels(self.edges, pool), len(rows)), self.alpha, self.steps) @ query


def smoothed(rows: Floats, walk: Adjacency, alpha: float, steps: int) -> Floats:
    """The vectors after `steps`, each of length 1."""
    for _ in range(steps):
        rows = rows + alpha * (walk @ rows - rows)
    return unit_length(rows)
