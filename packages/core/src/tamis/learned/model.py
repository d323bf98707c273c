"""The learned weights: how the features add up to one score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from tamis.learned.match import Floats

FILE = "weights.json"
Mode = Literal["scores", "order", "texts"]
"""What the first stage tells: scores, an order without scores, nothing."""


@dataclass(frozen=True)
class Combination:
    """A weighted sum of features that are standardised within the pool.

    `weights` by mode (`"scores"`, or `"scores+embedding"` where an embedder's cosines are at hand) and feature.
    `spreads`: the usual standard deviation of each feature within a pool. One that spreads far less there says little
    and counts for as much less, so that where no feature tells anything the first stage's word stands.
    """

    weights: Mapping[str, Mapping[str, float]]
    spreads: Mapping[str, float]

    def contributions(self, features: Mapping[str, Floats], mode: str) -> dict[str, Floats]:
        """What each feature adds to each candidate's score, by feature; their sum is the score. Shape (n,) each."""
        weights = self.weights[mode]
        return {name: weights[name] * standard(features[name], self.spreads[name]) for name in weights}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Combination:
        return cls(data["weights"], data["spreads"])

    def to_data(self) -> dict[str, Any]:
        return {"weights": self.weights, "spreads": self.spreads}


def mode_of(first_stage: Mode, embedded: bool) -> str:
    """
    >>> mode_of("scores", True)
    'scores+embedding'
    """
    return f"{first_stage}+embedding" if embedded else first_stage


def standard(values: Floats, usual: float) -> Floats:
    """Values less their mean, in units of their spread and the `usual` one: about as they are where they hardly differ,
    which is where few candidates are, and never large for one far off.

    >>> standard(np.array([1.0, 3.0]), 0.0).tolist(), standard(np.array([2.0, 2.0]), 1.0).tolist()
    ([-1.0, 1.0], [0.0, 0.0])
    """
    spread = float(np.hypot(values.std(), usual))
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros(len(values))


@lru_cache(maxsize=1)
def packaged() -> Combination:
    """The weights in the package."""
    return Combination.from_data(json.loads(files("tamis.learned").joinpath(FILE).read_text(encoding="utf-8")))


def fingerprint() -> str:
    """SHA-256 of the packaged weights and word vectors, as the model card states it."""
    digest = hashlib.sha256()
    for name in (FILE, "words.npz"):
        digest.update(files("tamis.learned").joinpath(name).read_bytes())
    return digest.hexdigest()
