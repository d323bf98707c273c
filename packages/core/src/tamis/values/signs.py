"""Signs of how a ranking came about that need no labels: cheap to take, and worth an alarm when they are odd."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis.values.ranking import Ranking

SORTED_IN = 4_000
"""Numbers up to which inserting into a sorted list is fastest; it takes quadratic time."""


def kendall_tau(order: Sequence[int]) -> float:
    """Agreement of an order of distinct numbers with their rising order: 1 the same, -1 reversed, 0 no relation.

    >>> kendall_tau([0, 1, 2]), kendall_tau([2, 1, 0])
    (1.0, -1.0)
    """
    n = len(order)
    return 1.0 if n < 2 else 1.0 - 4.0 * _turned(order) / (n * (n - 1))


def _turned(order: Sequence[int]) -> int:
    """In how many pairs the larger number comes first."""
    if len(order) <= SORTED_IN:
        seen: list[int] = []
        turned = 0
        for value in order:
            turned += len(seen) - bisect_left(seen, value)
            insort(seen, value)
        return turned
    middle = len(order) // 2
    first, second = order[:middle], order[middle:]
    larger = sorted(first)
    across = sum(len(first) - bisect_left(larger, value) for value in second)
    return _turned(first) + _turned(second) + across


def variance(scores: Sequence[float]) -> float:
    """Mean squared distance from the mean; 0 for none, infinity where the numbers are too large to square."""
    if not scores:
        return 0.0
    mean = math.fsum(score / len(scores) for score in scores)
    return math.fsum((score - mean) * (score - mean) / len(scores) for score in scores)


def signs(ranking: Ranking) -> Mapping[str, float]:
    """What a ranking, and what its stages noted, shows without labels.

    `kendall_tau`: of the kept to the order they came in; near 1 the reranking does nothing, near 0 it may be noise.
    `identity`: 1 when nothing moved. `unjudged`: share of the kept that a degraded notice names.
    `score_variance`: of the scores there are; 0 means that all tie. Then `ranking.monitors`: `"stage.sign"` each.
    """
    positions = ranking.positions
    scores = [ranked.score for ranked in ranking.kept if ranked.score is not None]
    named = {position for notice in ranking.warnings if notice.degraded for position in notice.positions}
    found = {
        "kendall_tau": kendall_tau(positions),
        "identity": float(list(positions) == sorted(positions)),
        "unjudged": sum(position in named for position in positions) / max(1, len(positions)),
    }
    if scores:
        found["score_variance"] = variance(scores)
    return {**found, **ranking.monitors}
