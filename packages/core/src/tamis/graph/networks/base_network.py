"""What a trained network is to tamis: it reads a pool into arrays and scores them, in numpy and on tensors alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tamis.graph.edges.base import Edges
from tamis.parts.family import Family
from tamis.pool.pool import Pool, unit_rows
from tamis.pool.sparse import Adjacency, Floats
from tamis.values.scale import FUSION, Scale

Weights = Mapping[str, Any]
"""What training finds: arrays by name, all numpy's or all tensors."""


def unchanged(values: Any) -> Any:
    return values


class Network(ABC):
    """A form of network, without its weights. Subclasses are frozen pydantic dataclasses: their fields are its shape.

    `read` turns a pool into arrays once; `scores` is written in what numpy arrays and torch tensors have in common
    (`xp` is either module), so that training and serving run the same lines. Whatever the weights, shuffled candidates
    get the same scores, shuffled.

    `temperature`: losses divide scores by it. `learning_rate`: where training starts from when none is given.
    """

    temperature: ClassVar[float]
    learning_rate: ClassVar[float]
    scale: ClassVar[Scale] = FUSION
    edges: tuple[Edges, ...] = ()

    def texts(self, pool: Pool) -> list[str]:
        """What is embedded for each candidate."""
        return [candidate.full_text for candidate in pool.candidates]

    @abstractmethod
    def read(self, pool: Pool, query: Floats) -> Any:
        """A dataclass of arrays for `scores`. The pool holds at least one candidate and has the candidates' embeddings;
        `query`: that of the query."""

    @abstractmethod
    def initial(self, dims: int, rng: np.random.Generator) -> dict[str, Floats]:
        """Weights of an untrained network for embeddings of `dims` numbers."""

    @abstractmethod
    def scores(self, weights: Weights, inputs: Any, xp: Any = np, drop: Callable[[Any], Any] = unchanged) -> Any:
        """One score per candidate. `drop` is dropout while training."""

    def lifts(self, weights: Weights, inputs: Any) -> Sequence[Adjacency]:
        """For each kind of edge, what each neighbour (column) added to each candidate's score (row); empty when the
        network does not say."""
        return ()


NETWORKS = Family("network", Network, "tamis.graph.networks", "network", "tamis.networks", {"hybrank": "HybRank"})


def cosines(pool: Pool, query: Floats) -> Floats:
    """Of the query with each candidate; 0 for one without a vector."""
    return pool.vectors @ unit_vector(query)


def unit_vector(vector: Floats) -> Floats:
    """The vector at length 1; zeros stay zeros."""
    return unit_rows([vector.tolist()])[0]
