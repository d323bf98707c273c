"""How the scores of several criteria become one order. Arithmetic only.

Each function takes rows (one per candidate: criterion name to score, `None` for unknown), the relevance criterion and
the others, and returns one score per row, higher is better. An unknown score
counts as the middle of its range; a grade that a rubric's answer left out counts as missing (`graded_only`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tamis.criteria.criterion import Criterion
from tamis.criteria.sources import Rubric
from tamis.values.scale import ORDINAL, Scale, graded

Row = Mapping[str, float | None]
Combination = Callable[[Sequence[Row], Sequence[Criterion]], list[float]]


def value(row: Row, criterion: Criterion) -> float:
    """A criterion's score in its range, the middle when unknown."""
    score = row.get(criterion.name)
    return criterion.max / 2 if score is None else min(criterion.max, max(0.0, score))


def graded_only(rows: Sequence[Row], criteria: Sequence[Criterion]) -> list[Row]:
    """The rows with each missing grade of a rubric replaced by the row's own mean: the weighted mean of the shares it
    has, so that a grade that is missing moves a candidate neither up nor down."""
    rubrics = [c for c in criteria if isinstance(c.source, Rubric)]
    found: list[Row] = []
    for row in rows:
        missing = [c for c in rubrics if row.get(c.name) is None]
        known = [c for c in criteria if row.get(c.name) is not None]
        if missing and known:
            total = sum(c.weight for c in known)
            share = sum((c.weight if total else 1.0) * value(row, c) / c.max for c in known) / (total or len(known))
            row = {**row, **{c.name: c.max * share for c in missing}}
        found.append(row)
    return found


def composite(rows: Sequence[Row], criteria: Sequence[Criterion]) -> list[float]:
    """Sum of weight x score: REBEL's R + 0.5 (c1 + ... + c5) (LeVine and Varjavand, 2025).

    >>> from tamis.criteria import RELEVANCE, STANDARD
    >>> row = {"relevance": 8, "depth": 4, "diversity": 3, "clarity": 5, "authoritativeness": 4, "recency": 2}
    >>> composite([row], [RELEVANCE, *STANDARD.values()])
    [17.0]
    """
    return [sum(c.weight * value(row, c) for c in criteria) for row in graded_only(rows, criteria)]


def weighted(rows: Sequence[Row], criteria: Sequence[Criterion]) -> list[float]:
    """Weighted mean of the scores as shares of their ranges, 0..1: comparable even when criteria differ by query."""
    total = sum(c.weight for c in criteria) or 1.0
    return [sum(c.weight * value(row, c) / c.max for c in criteria) / total for row in graded_only(rows, criteria)]


def normalised_composite(rows: Sequence[Row], criteria: Sequence[Criterion]) -> list[float]:
    """The composite as a share of the highest possible one, 0..1."""
    top = highest(criteria) or 1.0
    return [score / top for score in composite(rows, criteria)]


LEVELS = 5


def lexicographic(rows: Sequence[Row], criteria: Sequence[Criterion]) -> list[float]:
    """By the first criterion, ties by the second, and so on; each in `LEVELS` + 1 steps, so that near-equals tie."""
    keys = [tuple(round(LEVELS * value(row, c) / c.max) for c in criteria) for row in graded_only(rows, criteria)]
    return _places(keys)


def pareto(rows: Sequence[Row], criteria: Sequence[Criterion]) -> list[float]:
    """By Pareto front (nothing in a front is beaten on one criterion and equalled on all others by another of it or of
    a later front), within a front by the weighted mean."""
    points = [tuple(value(row, c) for c in criteria) for row in graded_only(rows, criteria)]
    front = _fronts(points)
    means = weighted(rows, criteria)
    return _places([(-front[point], mean) for point, mean in zip(points, means, strict=True)])


def _fronts(points: Sequence[tuple[float, ...]]) -> dict[tuple[float, ...], int]:
    """The number of each different point's front, the best 0: one more than that of the last front that beats it.

    Those that beat a point sort before it, and where a front beats a point all earlier ones do. So each is looked
    up by bisection: ENS-BS (Zhang et al., 2015).
    """
    fronts: list[_Front] = []
    number: dict[tuple[float, ...], int] = {}
    for point in sorted(set(points), reverse=True):
        number[point] = bisect_left(fronts, True, key=_unbeaten(point))
        if number[point] == len(fronts):
            fronts.append(_Front())
        fronts[number[point]].add(point)
    return number


def _unbeaten(point: tuple[float, ...]) -> Callable[[_Front], bool]:
    return lambda front: not front.beats(point)


class _Front:
    """Points of which none beats another, in descending order."""

    def __init__(self) -> None:
        self.size = 0
        self.columns = np.zeros((0, 0))

    def add(self, point: tuple[float, ...]) -> None:
        if self.size == self.columns.shape[1]:
            grown = np.zeros((len(point), max(4, 2 * self.size)))
            grown[: len(self.columns), : self.size] = self.columns
            self.columns = grown
        self.columns[:, self.size] = point
        self.size += 1

    def beats(self, point: tuple[float, ...]) -> bool:
        """Whether one of its points is nowhere worse than a point that sorts after all of them."""
        # With two criteria the last point is the best of the front on the second one.
        first = self.size - 1 if len(point) <= 2 else 0
        found = np.ones(self.size - first, dtype=bool)
        for column, share in zip(self.columns, point, strict=True):
            found &= column[first : self.size] >= share
        return bool(found.any())


def _places(keys: Sequence[tuple[float, ...]]) -> list[float]:
    """An ordinal score a key: how many distinct keys are smaller."""
    rank = {key: place for place, key in enumerate(sorted(set(keys)))}
    return [float(rank[key]) for key in keys]


def highest(criteria: Sequence[Criterion]) -> float:
    """The largest possible composite."""
    return sum(c.weight * c.max for c in criteria)


COMBINATIONS: Mapping[str, Combination] = {
    "composite": composite,
    "normalised": normalised_composite,
    "weighted": weighted,
    "lexicographic": lexicographic,
    "pareto": pareto,
}


def scale_of(combination: str, criteria: Sequence[Criterion]) -> Scale:
    if combination == "composite":
        return graded(0.0, highest(criteria))
    return ORDINAL if combination in ("lexicographic", "pareto") else graded(0.0, 1.0)
