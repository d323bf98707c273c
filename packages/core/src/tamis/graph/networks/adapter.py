"""The adapter of RRRA: a small network that moves each candidate's embedding, looking at the query's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from tamis.graph.networks.base_network import Network, Weights, unchanged, unit_vector
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Floats
from tamis.values.scale import COSINE, Scale


@dataclass(frozen=True, eq=False)
class VectorInputs:
    """Of length 1: the embeddings of the query (d) and of n candidates (n x d)."""

    query: NDArray[np.float32]
    vectors: NDArray[np.float32]


@part
class Adapter(Network):
    """The cosine of the query's embedding q with c' = c + MLP([q - c; q * c; q + c]), c the candidate's; one hidden
    layer of `hidden` units with ReLU. Each candidate is judged alone: no graph, nothing but vectors is read.

    The MLP adds nothing at the start: an untrained adapter scores plain cosines, and one whose training gained nothing
    is left so. The paper multiplies the two scores, which `Fuse` does: `Fuse((Embedding(model),
    TrainedGraph("adapter.npz", model)), weights=(1, power), method="product")`; equal texts are embedded once.

    Not here: the paper's four-way classification and its pull towards the line between q and c; the adapter learns from
    the loss of `train_graph` alone. Scale: `cosine`. Source: RRRA (AAAI 2026), after third-party notes.
    """

    hidden: PositiveInt = 64

    temperature: ClassVar[float] = 0.05
    learning_rate: ClassVar[float] = 1e-3
    scale: ClassVar[Scale] = COSINE

    def read(self, pool: Pool, query: Floats) -> VectorInputs:
        return VectorInputs(unit_vector(query).astype(np.float32), pool.vectors.astype(np.float32))

    def initial(self, dims: int, rng: np.random.Generator) -> dict[str, Floats]:
        return {
            "in": rng.standard_normal((3 * dims, self.hidden)),
            "in.bias": np.zeros(self.hidden),
            "out": np.zeros((self.hidden, dims)),
        }

    def scores(
        self, weights: Weights, inputs: VectorInputs, xp: Any = np, drop: Callable[[Any], Any] = unchanged
    ) -> Any:
        query, vectors = inputs.query, inputs.vectors
        # The numbers of a vector of length 1 are about 1 / root: products are smaller by that, and steps of training
        # have to be, or the first ones drown the embedding.
        root = query.shape[0] ** 0.5
        both = query * vectors * root
        seen = xp.concatenate([query - vectors, both, query + vectors], 1)
        moved = vectors + drop((seen @ weights["in"] + weights["in.bias"]).clip(min=0)) @ weights["out"] / root
        return (moved @ query) / xp.sqrt((moved * moved).sum(-1) + 1e-12)
