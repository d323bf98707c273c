"""The network of EBCAR, compact: embeddings look at one another, and once more within their own document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from tamis.graph.edges.base import EdgesRef
from tamis.graph.edges.structure import Structure
from tamis.graph.networks.attention import block, divided, initial_block
from tamis.graph.networks.base_network import Network, Weights, cosines, unchanged, unit_vector
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Floats, union


@dataclass(frozen=True, eq=False)
class ContextInputs:
    """For n candidates: `cosines` (n); `vectors` of query and candidates ((1 + n) x d); `places`, where each chunk
    is in its document ((1 + n) x 2 PLACES); `apart`, -inf between rows that may not see one another, else 0."""

    cosines: Floats
    vectors: NDArray[np.float32]
    places: NDArray[np.float32]
    apart: NDArray[np.float32]


PLACES = 8
"""Waves that a chunk's number is written in."""


@part
class EBCAR(Network):
    """EBCAR in small: embeddings attend to all others, and by a second attention to those of their own document only.

    The score is the product of the query's embedding, unchanged, with the candidate's embedding plus what the network
    adds, which is nothing at the start: an untrained network scores plain cosines.

    Compact against the paper (126 million weights): embeddings are mapped to `hidden` numbers before the layers and
    back after them, 0.18 million weights for 384 dimensions. Which passages belong together comes from `edges`
    (default: the same `source`, from the metadata) through the second attention alone: the paper's table of document
    numbers by order of appearance would make scores depend on the order. The place in the document is written in sines
    of the metadata field `chunk`.

    Scale: `fusion` (unbounded sums, comparable within a query). Source: Yuan et al., 2025, after third-party notes.
    """

    edges: tuple[EdgesRef, ...] = (Structure(links=None),)
    hidden: PositiveInt = 64
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    chunk: str | None = "chunk"

    temperature: ClassVar[float] = 0.05
    learning_rate: ClassVar[float] = 1e-3

    def __post_init__(self) -> None:
        divided(self.hidden, self.heads, "EBCAR")

    def read(self, pool: Pool, query: Floats) -> ContextInputs:
        size = len(pool)
        rows = np.concatenate([unit_vector(query)[None], pool.vectors])
        together = np.eye(size + 1, dtype=bool)
        together[0] = together[:, 0] = True
        if self.edges:
            joined = union(*(kind.of(pool) for kind in self.edges))
            together[joined.rows + 1, joined.cols + 1] = True
        numbers = [_number(c.metadata.get(self.chunk)) if self.chunk else None for c in pool.candidates]
        places = np.stack([np.zeros(2 * PLACES), *map(_waves, numbers)])
        apart = np.where(together, 0.0, -np.inf)
        return ContextInputs(cosines(pool, query), *(array.astype(np.float32) for array in (rows, places, apart)))

    def initial(self, dims: int, rng: np.random.Generator) -> dict[str, Floats]:
        weights = {
            "in": rng.standard_normal((dims, self.hidden)),
            "places": 0.1 * rng.standard_normal((2 * PLACES, self.hidden)),
            "query": 0.1 * rng.standard_normal(self.hidden),
            "out": np.zeros((self.hidden, dims)),
        }
        for layer in range(self.layers):
            weights |= initial_block(f"layer.{layer}", self.hidden, rng, attentions=2)
        return weights

    def scores(
        self, weights: Weights, inputs: ContextInputs, xp: Any = np, drop: Callable[[Any], Any] = unchanged
    ) -> Any:
        rows = inputs.vectors @ weights["in"] + inputs.places @ weights["places"]
        rows = xp.concatenate([rows[:1] + weights["query"], rows[1:]])
        for layer in range(self.layers):
            rows = block(xp, weights, f"layer.{layer}", rows, self.heads, drop, (None, inputs.apart))
        return inputs.cosines + rows[1:] @ (weights["out"] @ inputs.vectors[0])


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _waves(number: int | None) -> Floats:
    """A chunk's number as sines and cosines of waves 2 pi to 2 pi 10,000 long; zeros when it is not known."""
    if number is None:
        return np.zeros(2 * PLACES)
    angles = number / 10_000.0 ** (np.arange(PLACES) / PLACES)
    return np.concatenate([np.sin(angles), np.cos(angles)])
