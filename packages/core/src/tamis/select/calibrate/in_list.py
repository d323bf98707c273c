"""Probabilities from a score and from its place in its list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import FiniteFloat

from tamis.parts.part import part
from tamis.select.calibrate.calibration import Calibration
from tamis.select.calibrate.line import logits
from tamis.select.policies.base import Floats, min_max
from tamis.values.scale import Scale, sigmoid


@part
class InList(Calibration):
    """A logistic line through a score and its place in the list, for scores that do not compare between queries.

    1 / (1 + exp(-(`intercept` + `score` x s + `rank` x ln(place) + `gap` x (best - s) + `level` x z))), z being how
    many standard deviations s is above the list's median; then never more than those before it. Holds for lists
    of about the length it was fitted to. Source: ours, after Platt (1999); the list itself as evidence on where to
    stop: Arampatzis et al. (2009).
    """

    score: FiniteFloat
    rank: FiniteFloat
    gap: FiniteFloat
    level: FiniteFloat
    intercept: FiniteFloat

    def probabilities(self, scores: Sequence[float], scale: Scale) -> Sequence[float]:
        given = np.asarray(scores, dtype=np.float64)
        if not len(given):
            return []
        order = np.argsort(-given, kind="stable")
        line = logits(features(given[order]), (self.score, self.rank, self.gap, self.level), self.intercept)
        falling = np.minimum.accumulate([sigmoid(logit) for logit in line.tolist()])
        made = np.empty(len(given))
        made[order] = falling
        return made.tolist()


def features(scores: Floats) -> Floats:
    """What the line reads of n >= 1 scores, largest first: score, ln(place), distance to the best, level. Equal scores
    share the first of their places. Shape: n x 4.

    >>> features(np.array([3.0, 1.0, 1.0])).round(2).tolist()
    [[3.0, 0.0, 0.0, 2.12], [1.0, 0.69, 2.0, 0.0], [1.0, 0.69, 2.0, 0.0]]
    """
    places = np.searchsorted(-scores, -scores) + 1.0
    level = min_max(scores)
    level = (level - np.median(level)) / (level.std() or 1.0)
    with np.errstate(over="ignore"):
        gap = np.minimum(scores[0] - scores, np.finfo(np.float64).max)
    return np.column_stack([scores, np.log(places), gap, level])
