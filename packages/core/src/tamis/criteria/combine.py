"""How the scores of several criteria become one order. Arithmetic only.

Each function takes rows (one per candidate: criterion name to score, `None` for unknown), the relevance criterion and
the others, and returns one score per row, higher is better. An unknown score
counts as the middle of its range; a grade that a rubric's answer left out counts as missing (`graded_only`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
    front = dict.fromkeys(range(len(rows)), 0)
    left, depth = set(front), 0
    while left:
        best = {i for i in left if not any(_dominates(points[j], points[i]) for j in left)}
        front.update(dict.fromkeys(best, depth))
        left -= best
        depth += 1
    means = weighted(rows, criteria)
    return _places([(-front[index], means[index]) for index in range(len(rows))])


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


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
