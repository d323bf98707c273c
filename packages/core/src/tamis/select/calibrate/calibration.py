"""From scores to probabilities of relevance. Applying a calibration is arithmetic; fitting is in `fitting`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import FiniteFloat

from tamis.errors import ConfigError, ScaleError
from tamis.parts.numbers import NonNegative, Positive, Share
from tamis.parts.part import part
from tamis.select.calibrate.artefact import ArtefactRef, Fitted, check_scorer
from tamis.stage.base import Stage
from tamis.values.calls import Plan
from tamis.values.ranking import Notice, Ranking, Why, finite
from tamis.values.scale import PROBABILITY, Kind, Kinds, Scale, sigmoid


class Calibration(Fitted, ABC):
    """A map from one query's scores to probabilities that never turns their order round."""

    @abstractmethod
    def probabilities(self, scores: Sequence[float], scale: Scale) -> Sequence[float]:
        """One number in 0..1 a score."""


@part
class Platt(Calibration):
    """1 / (1 + exp(-(`slope` x score + `intercept`))). Source: Platt (1999)."""

    slope: NonNegative
    intercept: FiniteFloat

    def probabilities(self, scores: Sequence[float], scale: Scale) -> Sequence[float]:
        return [sigmoid(self.slope * score + self.intercept) for score in scores]


@part
class Isotonic(Calibration):
    """A rising line through the points (`scores`, `values`), flat outside. Source: Zadrozny and Elkan (2002)."""

    scores: tuple[FiniteFloat, ...]
    values: tuple[Share, ...]

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.values):
            raise ConfigError(f"Isotonic needs as many values as scores: {len(self.scores)} and {len(self.values)}")
        if list(self.scores) != sorted(self.scores) or list(self.values) != sorted(self.values):
            raise ConfigError("Isotonic needs scores and values in rising order")

    def probabilities(self, scores: Sequence[float], scale: Scale) -> Sequence[float]:
        import numpy as np

        return np.interp(scores, self.scores, self.values).tolist()


@part
class Unit(Calibration):
    """Scores on 0..1 by what their scale means, not fitted: what is used where labels are too few."""

    def probabilities(self, scores: Sequence[float], scale: Scale) -> Sequence[float]:
        return [score or 0.0 for score in scale.normalised(scores)]


@part
class Temperature(Fitted):
    """What scores are divided by before a softmax; `None`: their standard deviation in each list."""

    temperature: Positive | None = None


@part
class Conformal(Fitted):
    """`scores` of relevant candidates of labelled queries, in rising order."""

    scores: tuple[FiniteFloat, ...]

    def threshold(self, alpha: float) -> float | None:
        """The score that a relevant candidate of a new query reaches with probability at least 1 - `alpha`: the
        floor(alpha (m + 1))-th smallest of the m scores. `None` when m is too small for that: keep all.

        >>> Conformal(tuple(range(19))).threshold(0.1)
        1.0
        """
        place = math.floor(alpha * (len(self.scores) + 1) + 1e-9)
        return self.scores[place - 1] if place else None


@part
class Calibrate(Stage):
    """Turn scores into probabilities of relevance; the order stays. What has no score keeps none.

    Refuses scores of another scale than the artefact was fitted on (`ScaleError`), and to be used after another scorer
    (`ConfigError`). Scale: `probability`.
    """

    artefact: ArtefactRef

    drops: ClassVar[tuple[Why, ...]] = ()

    def __post_init__(self) -> None:
        fitted = self.artefact.holds(Calibration, by="Calibrate")  # type: ignore[type-abstract]
        if self.artefact.scale == "ordinal" and isinstance(fitted, Unit):
            raise ScaleError(
                "Calibrate: an artefact that was not fitted maps scores by their scale, and ordinal scores have no "
                "distances to map. Fit one for a stage that scores."
            )

    @property
    def accepts(self) -> Kinds:
        return self.artefact.kinds

    def leaves(self, before: Scale | None) -> Scale:
        return PROBABILITY

    def remedy(self, kind: Kind) -> str:
        return self.artefact.remedy

    def follows(self, earlier: Sequence[Stage]) -> None:
        check_scorer(self.artefact, earlier)

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        self.check_scale(ranking)
        calibration = self.artefact.holds(Calibration)  # type: ignore[type-abstract]
        known = [ranked.score for ranked in ranking.kept if ranked.score is not None]
        made = iter(calibration.probabilities(known, ranking.scale) if known else ())
        kept = tuple(r if r.score is None else replace(r, score=finite(next(made))) for r in ranking.kept)
        calibrated = replace(ranking, kept=kept, scale=PROBABILITY)
        if not isinstance(calibration, Unit):
            return calibrated
        return calibrated.warn(Notice(f"Calibrate: not fitted ({'; '.join(self.artefact.notes)})", degraded=False))
