"""What every method on vectors is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import numpy as np

from tamis.parts.family import Family
from tamis.pool.pool import Pool
from tamis.pool.sparse import Floats
from tamis.values.scale import COSINE, Scale


class Refiner(ABC):
    """A way to score candidates by the query's vector, refined by the candidates' own. Subclasses are frozen parts."""

    scale: ClassVar[Scale] = COSINE

    @property
    def compares(self) -> bool:
        """Whether it compares the vectors of candidates with one another; then of the first few thousand only."""
        return False

    @abstractmethod
    def scores(self, query: Floats, rows: Floats, normalised: Floats, pool: Pool) -> Floats:
        """A score for each of n candidates, best = highest.

        `query`: d numbers, of length 1. `rows`: n x d, of length 1 each. `normalised`: the candidates' scores so far,
        0..1.
        """


REFINERS = Family(
    "refinement of vectors", Refiner, "tamis.graph", "refiner", "tamis.refiners", {"superglobal": "SuperGlobal"}
)
RefinerRef = Annotated[Refiner, *REFINERS]
"""Field type: a refinement of vectors, its name or its plain data."""


def best(scores: Floats, count: int) -> Floats:
    """1 for the `count` highest and those that tie with the last of them, else 0."""
    last = np.partition(scores, -count)[-count] if 0 < count < len(scores) else scores.min(initial=np.inf)
    return (scores >= last).astype(np.float64)
