"""Keep enough for a share of the probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tamis.errors import ConfigError
from tamis.parts.numbers import Positive, ShareAboveZero
from tamis.parts.part import part
from tamis.select.calibrate.artefact import ArtefactRef, check_scorer
from tamis.select.calibrate.calibration import Temperature
from tamis.select.policies.base import TOLERANCE, Floats, Policy, min_max
from tamis.stage.base import Stage
from tamis.values.scale import Kind, Kinds


@part
class SoftmaxMass(Policy):
    """The smallest k whose softmax(scores / temperature) adds up to `p`.

    `fitted`: an artefact with the temperature under which relevant candidates are likeliest; `temperature`: a number;
    with neither, the standard deviation of each list, and the policy does not depend on shift or scale. A higher
    temperature keeps more, up to p x n. Source: nucleus sampling (Holtzman et al., 2020), on documents.

    >>> SoftmaxMass(0.8, temperature=0.1).count(np.array([0.92, 0.90, 0.88, 0.61, 0.60, 0.58, 0.57, 0.30, 0.29, 0.28]))
    3
    """

    p: ShareAboveZero = 0.8
    temperature: Positive | None = None
    fitted: ArtefactRef | None = None

    def __post_init__(self) -> None:
        if self.fitted is not None:
            self.fitted.holds(Temperature, by="SoftmaxMass")
            if self.temperature is not None:
                raise ConfigError("SoftmaxMass takes a temperature or a fitted one, not both")

    @property
    def reads(self) -> Kinds:
        return self.accepts if self.fitted is None else self.accepts & self.fitted.kinds

    def remedy(self, kind: Kind) -> str:
        return super().remedy(kind) if self.fitted is None else self.fitted.remedy

    def count(self, scores: Floats) -> int:
        temperature = self.temperature if self.fitted is None else self.fitted.holds(Temperature).temperature
        mass = np.cumsum(softmax(scores, temperature))
        return min(len(scores), int(np.count_nonzero(mass < self.p - TOLERANCE)) + 1)

    def follows(self, earlier: Sequence[Stage]) -> None:
        check_scorer(self.fitted, earlier)


def softmax(scores: Floats, temperature: float | None) -> Floats:
    """exp(scores / temperature), adding up to 1; a temperature of `None` is the standard deviation of `scores`."""
    with np.errstate(over="ignore", under="ignore"):
        if temperature is None:
            level = min_max(scores)
            exponent = (level - 1) / (level.std() or 1.0)
        else:
            exponent = (scores / 2 - scores[0] / 2) / (temperature / 2)
        powers = np.exp(exponent)
    return powers / powers.sum()
