"""What a policy is: it reads one query's scores, best first, and says how many candidates to keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from tamis.parts.family import Family
from tamis.stage.base import Stage
from tamis.stage.scales import refuse
from tamis.values.scale import ABSOLUTE, CALIBRATED, DISTANCES, Kind, Kinds, Scale

Floats = NDArray[np.float64]

TOLERANCE = 1e-9
"""Differences of normalised scores below this are rounding."""


class Policy(ABC):
    """How many candidates to keep, from the scores alone. Subclasses are frozen pydantic dataclasses.

    `accepts`: the kinds of scale the policy can read (`reads` where that depends on its fields). Where the scores say
    nothing (all equal, too few) a policy keeps all: the stage's bounds limit that.
    """

    accepts: ClassVar[Kinds] = DISTANCES

    @abstractmethod
    def count(self, scores: Floats) -> int:
        """How many to keep, 0..n. `scores`: n >= 1 finite numbers, largest first."""

    @property
    def reads(self) -> Kinds:
        """The kinds of scale this policy can read; of a fitted one, that of the scores it was fitted to."""
        return self.accepts

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"the policy {POLICIES.name_of(type(self)) or type(self).__name__}"

    def check(self, scale: Scale) -> None:
        """Raise `ScaleError`, saying what to put in front, unless this policy can read scores of `scale`."""
        if scale.kind not in self.reads:
            raise refuse(self.label, self.reads, scale.kind, self.remedy(scale.kind))

    def remedy(self, kind: Kind) -> str:
        """What to do where the scores are of a `kind` it cannot read."""
        if kind == "ordinal":
            return "Put a stage that scores in front, such as CrossEncoder, Pointwise or Lexical, or use 'fixed'"
        if self.reads == CALIBRATED:
            return "Put Calibrate in front, with an artefact fitted for the stage that scores"
        if self.reads == ABSOLUTE:
            return "They compare only within one query: put Calibrate in front, or use 'largest_gap' or 'ratio_to_best'"
        return "Put Calibrate in front, or use 'near_best'"

    def follows(self, earlier: Sequence[Stage]) -> None:  # noqa: B027
        """As `Stage.follows`, for a policy that was fitted to the scores of one stage."""


POLICIES = Family("policy", Policy, "tamis.select", "policy", "tamis.policies")
PolicyRef = Annotated[Policy, *POLICIES]
"""Field type: a policy, its name or its plain data."""


def min_max(scores: Floats) -> Floats:
    """Scores with the best at 1 and the worst at 0; all 0 when they are equal. Safe for any finite numbers.

    >>> min_max(np.array([3.0, 2.0, 1.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    half = scores / 2
    spread = half[0] - half[-1]
    return np.zeros(len(scores)) if spread <= 0 else (half - half[-1]) / spread


def at_least(scores: Floats, minimum: float) -> int:
    """How many of `scores` (largest first) are `minimum` or more."""
    return int(np.count_nonzero(scores >= minimum))
