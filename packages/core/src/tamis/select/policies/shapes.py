"""Cut by the shape of the curve of scores."""

from __future__ import annotations

import numpy as np

from tamis.parts.numbers import ShareBetween
from tamis.parts.part import part
from tamis.select.policies.base import TOLERANCE, Floats, Policy, min_max


@part
class Knee(Policy):
    """Keep what comes before the point farthest from the straight line between the first and the last score.

    Says nothing, and keeps all, on a straight curve or with fewer than 3 scores. Does not depend on shift or scale.
    Source: Kneedle (Satopaa et al., 2011).

    >>> Knee().count(np.array([1.0, 0.9, 0.2, 0.1, 0.1, 0.0]))
    2
    """

    def count(self, scores: Floats) -> int:
        n = len(scores)
        below = 1 - np.linspace(0.0, 1.0, n) - min_max(scores) if n > 2 else np.zeros(n)
        sagging, bulging = below.max(), -below.min()
        if max(sagging, bulging) <= TOLERANCE or scores[0] == scores[-1]:
            return n
        if sagging >= bulging - TOLERANCE:
            return int(np.argmax(below >= sagging - TOLERANCE))
        return int(np.argmax(below <= TOLERANCE - bulging)) + 1


@part
class TailTest(Policy):
    """Keep the scores that are too high to belong to the tail of the list itself.

    Most candidates are taken for irrelevant: a generalised Pareto tail is laid through the scores above the median, by
    its quantiles, so that a few relevant ones do not move it; of the p-values under it those are kept that pass
    Benjamini and Hochberg's test at false discovery rate `level`. Can keep none. The shape of the tail is held between
    `LIGHTEST` and the exponential one, as a free one is too noisy on lists of a hundred. Says nothing, and keeps all,
    under 30 scores or where the tail is flat. Does not depend on shift or scale.
    Source: the idea of Surprise (Bahri et al., 2020).
    """

    level: ShareBetween = 0.05

    def count(self, scores: Floats) -> int:
        n = len(scores)
        above = min_max(scores)
        above -= above[n // 2]
        half, three_quarters = np.quantile(above[: n // 2], [0.5, 0.75]) if n >= FEWEST else (0.0, 0.0)
        if half <= TOLERANCE:
            return n
        p_values = (n // 2) / n * _survival(np.maximum(above, 0.0), half, three_quarters)
        passed = np.flatnonzero(p_values <= self.level * np.arange(1, n + 1) / n)
        return int(passed[-1]) + 1 if len(passed) else 0


FEWEST = 30
LIGHTEST = -0.25


def _survival(excess: Floats, half: float, three_quarters: float) -> Floats:
    """P(larger than `excess`) under the generalised Pareto law with these quantiles (Pickands, 1975)."""
    shape = min(0.0, max(LIGHTEST, float(np.log2(max(three_quarters / half - 1, TOLERANCE)))))
    if shape > -TOLERANCE:
        return np.exp2(-excess / half)
    scale = half * shape / (2**shape - 1)
    return np.maximum(1 + shape * excess / scale, 0.0) ** (-1 / shape)
