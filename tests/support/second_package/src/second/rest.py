"""Parts of the other kinds."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tamis.extend import (
    COSINE,
    Adjacency,
    Asking,
    Confidence,
    Edges,
    Fitted,
    Floats,
    Policy,
    Pool,
    Ranked,
    Ranking,
    Refiner,
    Scale,
    Source,
    Weight,
    part,
)


@part
class Digits(Source):
    """Scores the share of digits in a text."""

    full: float = 0.1

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[float | None]]:
        yield from ()
        shares = [sum(map(str.isdigit, ranked.text)) / max(1, len(ranked.text)) for ranked in head]
        return [min(1.0, share / self.full) for share in shares]


@part
class Half(Policy):
    """Keeps the better half."""

    def count(self, scores: Floats) -> int:
        return (len(scores) + 1) // 2


@part
class SameStart(Edges):
    """Joins candidates whose texts begin with the same letters."""

    letters: int = 3
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        starts = [candidate.text[: self.letters] for candidate in pool.candidates]
        pairs = [(a, b) for a, one in enumerate(starts) for b, other in enumerate(starts) if one == other]
        return Adjacency.of(len(pool), [a for a, _ in pairs], [b for _, b in pairs], np.ones(len(pairs)))


@part
class PlainCosine(Refiner):
    """The cosine as it is."""

    scale: ClassVar[Scale] = COSINE

    def scores(self, query: Floats, rows: Floats, normalised: Floats, pool: Pool) -> Floats:
        return rows @ query


@part
class MeanScore(Confidence):
    """The mean of the scores."""

    def of(self, scores: Floats) -> float:
        return float(scores.mean())


@part
class Shift(Fitted):
    """A number found by a fit."""

    by: float
