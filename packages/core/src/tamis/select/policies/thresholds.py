"""Keep what reaches a level: a fixed one, one that is fitted, or one relative to the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import FiniteFloat, NonNegativeInt

from tamis.parts.numbers import NonNegative, Positive, Share, ShareAboveZero, ShareBetween
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.select.calibrate.artefact import ArtefactRef, check_scorer
from tamis.select.calibrate.calibration import Conformal
from tamis.select.policies.base import TOLERANCE, Floats, Policy, at_least, min_max
from tamis.stage.base import Stage
from tamis.values.scale import ABSOLUTE, ANY, CALIBRATED, FROM_ZERO, Kind, Kinds


@part
class Fixed(Policy):
    """Keep `k`, whatever the scores: the baseline. Reads no scores and so takes every scale."""

    k: NonNegativeInt = 5
    accepts = ANY

    def count(self, scores: Floats) -> int:
        return min(self.k, len(scores))


@part
class AtLeast(Policy):
    """Keep scores of at least `minimum` (inclusive), on the ranking's own scale, which must mean the same for every
    query. Moves with the scores."""

    minimum: FiniteFloat
    accepts = ABSOLUTE

    def count(self, scores: Floats) -> int:
        return at_least(scores, self.minimum)


@part
class Calibrated(Policy):
    """Keep probabilities of at least `threshold`, or of what the costs say: noise / (noise + miss).

    `noise`: what keeping an irrelevant candidate costs; `miss`: what losing a relevant one costs. Equal costs give 0.5.
    The least expected cost, where the probabilities are calibrated (Elkan, 2001).
    """

    threshold: Share | None = None
    noise: Annotated[Positive, OPTIONAL] = NOT_GIVEN
    miss: Annotated[Positive, OPTIONAL] = NOT_GIVEN

    usual: ClassVar[Mapping[str, Any]] = {"noise": 1.0, "miss": 1.0}
    accepts = CALIBRATED

    def __post_init__(self) -> None:
        off = None if self.threshold is None else "with a threshold"
        settle(self, "noise", "miss", off=off, remedy="the threshold")

    def count(self, scores: Floats) -> int:
        return at_least(scores, self.noise / (self.noise + self.miss) if self.threshold is None else self.threshold)


@part
class ConformalRecall(Policy):
    """Keep what reaches the level that a relevant candidate of a new query reaches with probability 1 - `alpha`.

    Holds on average over queries like those the artefact was fitted on, whatever the distribution of scores. With too
    few calibration labels for `alpha` (fewer than 1 / alpha - 1) all are kept.
    Source: split conformal prediction (Vovk et al., 2005).
    """

    artefact: ArtefactRef
    alpha: ShareBetween = 0.1

    def __post_init__(self) -> None:
        self.artefact.holds(Conformal, by="ConformalRecall")

    @property
    def reads(self) -> Kinds:
        return self.accepts & self.artefact.kinds

    def remedy(self, kind: Kind) -> str:
        return self.artefact.remedy

    def count(self, scores: Floats) -> int:
        level = self.artefact.holds(Conformal).threshold(self.alpha)
        return len(scores) if level is None else at_least(scores, level)

    def follows(self, earlier: Sequence[Stage]) -> None:
        check_scorer(self.artefact, earlier)


@part
class RatioToBest(Policy):
    """Keep scores of at least `ratio` times the best. Not for logits, which may be negative: see `NearBest`.

    Nothing is kept when no score is above zero. Does not depend on scale, but on shift.
    """

    ratio: ShareAboveZero = 0.6
    accepts = FROM_ZERO

    def count(self, scores: Floats) -> int:
        return at_least(scores, self.ratio * scores[0]) if scores[0] > 0 else 0


@part
class NearBest(Policy):
    """Keep scores within `distance` of the best. Does not depend on shift, but on scale."""

    distance: NonNegative

    def count(self, scores: Floats) -> int:
        return int(np.count_nonzero(scores[0] / 2 - scores / 2 <= self.distance / 2))


@part
class ZScore(Policy):
    """Keep scores at least `z` standard deviations above the mean of the list: the outliers.

    Says nothing, and keeps all, with fewer than 5 scores or none that differ. Misled by lists of two groups. Does not
    depend on shift or scale.
    """

    z: FiniteFloat = 1.0

    def count(self, scores: Floats) -> int:
        level = min_max(scores)
        deviation = level.std()
        if len(scores) < 5 or not deviation:
            return len(scores)
        return at_least((level - level.mean()) / deviation, self.z - TOLERANCE)
