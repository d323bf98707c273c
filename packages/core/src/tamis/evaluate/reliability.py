"""How far probabilities can be taken at their word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions between `low` and `high`: how many, their mean, and the share that was relevant."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float


def bins(probabilities: Sequence[float], relevant: Sequence[float], count: int = 10) -> list[Bin]:
    """Predictions in `count` bins of equal width, empty ones left out: a reliability diagram as numbers.

    `relevant`: 0 or 1 a prediction, or a share between them.
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(relevant, dtype=float)
    place = np.minimum((p * count).astype(int), count - 1)
    size = np.bincount(place, minlength=count)
    predicted, observed = (np.bincount(place, weights, minlength=count) for weights in (p, y))
    return [
        Bin(b / count, (b + 1) / count, int(size[b]), float(predicted[b] / size[b]), float(observed[b] / size[b]))
        for b in np.flatnonzero(size).tolist()
    ]


def ece(probabilities: Sequence[float], relevant: Sequence[float], count: int = 10) -> float:
    """Expected calibration error: mean distance of predicted and observed over `bins`. 0 is best.

    >>> round(ece([0.8, 0.8, 0.8, 0.8], [1, 1, 1, 0]), 3)
    0.05
    """
    found = bins(probabilities, relevant, count)
    return sum(b.count * abs(b.predicted - b.observed) for b in found) / (sum(b.count for b in found) or 1)


def brier(probabilities: Sequence[float], relevant: Sequence[float]) -> float:
    """Mean squared distance of probability and truth. 0 is best; always predicting the base rate r gives r (1 - r)."""
    return float(np.mean((np.asarray(probabilities, dtype=float) - np.asarray(relevant, dtype=float)) ** 2))
