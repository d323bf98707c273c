"""How sure can one be, from the scores of one query alone, that something good is among its candidates?

Source of all but `Stacked`: reference-based abstention (Gisserot-Boukhlef et al., 2024, arXiv 2402.12997).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

import numpy as np
from pydantic import FiniteFloat

from tamis.errors import ConfigError
from tamis.parts.family import Family
from tamis.parts.numbers import Positive, Share
from tamis.parts.part import part
from tamis.select.calibrate.line import logits
from tamis.select.policies.base import Floats
from tamis.values.scale import sigmoid

Vector = tuple[FiniteFloat, ...]


class Confidence(ABC):
    """A number from n >= 1 finite scores in any order; higher is surer. Comparable only for one scorer."""

    @abstractmethod
    def of(self, scores: Floats) -> float: ...


CONFIDENCES = Family("confidence", Confidence, "tamis.select", "confidence", "tamis.confidences")
ConfidenceRef = Annotated[Confidence, *CONFIDENCES]
"""Field type: a confidence, its name or its plain data."""


@part
class Max(Confidence):
    """The best score (u_max). Moves with the scores."""

    def of(self, scores: Floats) -> float:
        return float(scores.max())


@part
class Std(Confidence):
    """The standard deviation of the scores (u_std). Does not depend on shift."""

    def of(self, scores: Floats) -> float:
        size = float(np.abs(scores).max()) or 1.0
        return float((scores / size).std()) * size


@part
class Gap(Confidence):
    """The best score less the second best (u_1-2); 0 with one score. Does not depend on shift."""

    def of(self, scores: Floats) -> float:
        best = np.sort(scores)[-2:]
        return float(best[-1] - best[0])


@part
class Stacked(Confidence):
    """P(good) by a logistic line through the three confidences that need no labels, each with its slope.

    Three numbers, where the regressions on score vectors read ten: what is left to learn from a few hundred queries is
    how much each counts. Source: stacked generalisation (Wolpert, 1992).
    """

    max: FiniteFloat
    std: FiniteFloat
    gap: FiniteFloat
    intercept: FiniteFloat

    def of(self, scores: Floats) -> float:
        return sigmoid(float(logits(simple(scores), (self.max, self.std, self.gap), self.intercept)))


def simple(scores: Floats) -> Floats:
    """Max, standard deviation and gap of one query's scores."""
    return np.array([Max().of(scores), Std().of(scores), Gap().of(scores)])


@part
class FittedConfidence(Confidence):
    """Base of confidences fitted to the `k` best scores of labelled queries, sorted upwards and standardised.

    `centre`, `spread`: mean and standard deviation of each place over the reference queries. `pad`: their smallest
    score, which is used where a query has fewer than k.
    """

    centre: Vector
    spread: tuple[Positive, ...]
    pad: FiniteFloat

    def __post_init__(self) -> None:
        if not self.centre or len(self.centre) != len(self.spread):
            lengths = f"{len(self.centre)} and {len(self.spread)}"
            raise ConfigError(f"centre and spread must be of the same length, not 0, got {lengths}")

    def features(self, scores: Floats) -> Floats:
        return (padded(scores, len(self.centre), self.pad) - np.array(self.centre)) / np.array(self.spread)

    def _check(self, *vectors: Vector) -> None:
        for vector in vectors:
            if len(vector) != len(self.centre):
                raise ConfigError(f"expected {len(self.centre)} numbers, one per score, got {len(vector)}")


def padded(scores: Floats, k: int, pad: float) -> Floats:
    """The `k` best scores in rising order, with `pad` in front where there are fewer.

    >>> padded(np.array([0.2, 0.9, 0.5]), 4, 0.0).tolist()
    [0.0, 0.2, 0.5, 0.9]
    """
    best = np.sort(scores)[-k:]
    return np.concatenate([np.full(k - len(best), min(pad, best.min(initial=pad))), best])


@part
class Linear(FittedConfidence):
    """Ridge regression from the scores to the quality of the ranking (u_lin): the expected quality."""

    weights: Vector
    intercept: FiniteFloat

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(self.weights)

    def of(self, scores: Floats) -> float:
        return float(self.features(scores) @ np.array(self.weights)) + self.intercept


@part
class Logistic(FittedConfidence):
    """P(good) - P(bad) of a 3-class logistic regression (u_log); bad and good are the lowest and highest quarter of
    reference queries. Rows of `weights`: bad, middle, good."""

    weights: tuple[Vector, Vector, Vector]
    intercepts: tuple[FiniteFloat, FiniteFloat, FiniteFloat]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(*self.weights)

    def of(self, scores: Floats) -> float:
        logits = np.array(self.weights) @ self.features(scores) + np.array(self.intercepts)
        powers = np.exp(logits - logits.max())
        return float((powers[2] - powers[0]) / powers.sum())


@part
class Mahalanobis(FittedConfidence):
    """Distance to the bad reference queries less that to the good ones (u_mah). `..._precision`: inverse covariance."""

    bad: Vector
    good: Vector
    bad_precision: tuple[Vector, ...]
    good_precision: tuple[Vector, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(self.bad, self.good, *self.bad_precision, *self.good_precision)

    def of(self, scores: Floats) -> float:
        found = self.features(scores)
        return _distance(found, self.bad, self.bad_precision) - _distance(found, self.good, self.good_precision)


@part
class Shrunk(Confidence):
    """A fitted confidence drawn towards one that needs no labels, by a share of 0 to 1, in the unit of the fitted one.

    `centres`, `spreads`: mean and standard deviation of both over the reference queries, the fitted one first. Where a
    fit does not carry over to other queries, what needs no labels still tells something.
    """

    fitted: ConfidenceRef
    simple: ConfidenceRef
    share: Share
    centres: tuple[FiniteFloat, FiniteFloat]
    spreads: tuple[Positive, Positive]

    def of(self, scores: Floats) -> float:
        centre, spread = self.centres[0], self.spreads[0]
        simple = centre + spread * (self.simple.of(scores) - self.centres[1]) / self.spreads[1]
        return (1.0 - self.share) * self.fitted.of(scores) + self.share * simple


def _distance(point: Floats, centre: Vector, precision: tuple[Vector, ...]) -> float:
    off = point - np.array(centre)
    return float(np.sqrt(max(0.0, off @ np.array(precision) @ off)))
