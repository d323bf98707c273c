"""From preferences over pairs to one score each. Comparisons may come in one order or both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tamis.aggregation.fit import Comparison, strengths


def wins(n: int, compared: Sequence[Comparison]) -> list[float]:
    """1 for each comparison won, one half for each tie (a preference of one half). Source: PRP (Qin et al., 2024).

    >>> wins(3, [(0, 1, 0.9), (0, 2, 0.5)])
    [1.5, 0.0, 0.5]
    """
    return soft_sum(n, [(i, j, 1.0 if p > 0.5 else 0.0 if p < 0.5 else 0.5) for i, j, p in compared])


def soft_sum(n: int, compared: Sequence[Comparison]) -> list[float]:
    """Sum of preferences: i gets p, j gets 1 - p. Source: duoT5's symmetric sum (Pradeep et al., 2021), InstUPR."""
    total = [0.0] * n
    for i, j, p in compared:
        total[i] += p
        total[j] += 1.0 - p
    return total


def bradley_terry(n: int, compared: Sequence[Comparison]) -> list[float]:
    """Strengths in logits, most likely under p(i beats j) = sigmoid(e_i - e_j), drawn a little towards 0."""
    return strengths(n, compared, prior=0.1)[0]


def thurstone(n: int, compared: Sequence[Comparison]) -> list[float]:
    """Strengths most likely under p(i beats j) = (1 + erf(e_i - e_j)) / 2, drawn a little towards 0. Source: zELO
    (Pipitone et al., 2025)."""
    return strengths(n, compared, model="normal", prior=0.1)[0]


def elo(n: int, compared: Sequence[Comparison], *, k: float = 32.0, start: float = 0.0) -> list[float]:
    """Ratings updated one comparison after the other (so their order matters): k * (result - expected), 400 points for
    ten to one.

    >>> elo(2, [(0, 1, 1.0)])
    [16.0, -16.0]
    """
    rating = [start] * n
    for i, j, p in compared:
        gap = max(-4000.0, min(4000.0, rating[j] - rating[i]))
        change = k * (p - 1.0 / (1.0 + math.pow(10.0, gap / 400.0)))
        rating[i] += change
        rating[j] -= change
    return rating


AGGREGATIONS: Mapping[str, Callable[[int, Sequence[Comparison]], list[float]]] = {
    "wins": wins,
    "soft": soft_sum,
    "bradley_terry": bradley_terry,
    "thurstone": thurstone,
    "elo": elo,
}
