"""What every edge type is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

from pydantic import PositiveInt

from tamis.parts.family import Family
from tamis.parts.numbers import NonNegative
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency

Weight = NonNegative
"""How much a kind of edge counts beside the others."""
Degree = PositiveInt
"""Most edges per candidate, heaviest first; edges that tie at the cut-off are all dropped."""


class Edges(ABC):
    """One kind of edge between the candidates of a pool: one channel of its graph.

    Subclasses are frozen pydantic dataclasses. `weight` says how much the channel counts beside the others;
    `uses_vectors` whether it compares embeddings.
    """

    weight: Weight

    @property
    def uses_vectors(self) -> bool:
        return False

    @abstractmethod
    def of(self, pool: Pool) -> Adjacency:
        """The channel: an `Adjacency` of size `len(pool)` with weights > 0 and no self-edges.

        Edge (i, j) says that document i listens to document j; most kinds are symmetric. The weights are in the unit of
        the kind and not normalised (see `graph.normalise`). Shuffled candidates give the same graph, shuffled.
        """

    @property
    def channel(self) -> str:
        """The name under which a ranking tells of these edges."""
        return EDGES.name_of(type(self)) or type(self).__name__


EDGES = Family("kind of edge", Edges, "tamis.graph", "edges", "tamis.edges")
EdgesRef = Annotated[Edges, *EDGES]
"""Field type: a kind of edge, its name or its plain data."""
