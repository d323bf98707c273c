"""The learned weights: how the features add up to one score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from tamis.rankers.learned.match import Floats
from tamis.rankers.learned.trust import Trust

FILE = "weights.json"
Mode = Literal["scores", "order", "texts"]
"""What the first stage gives: scores, an order without scores, nothing."""

PRIOR, EMBEDDING = "prior", "embedding"
SHARE, SPREAD = 1.25, 0.04
"""What an embedder's cosines count, and the spread within a pool below which they count for less. Not fitted: weights
learned with one embedder starve a better one. On each of the six training sets, with all-MiniLM-L6-v2 as with
bge-small-en-v1.5, this is better than half and half of first stage and cosines. Mean nDCG@10 there is within .004 of
the best (share 1) for all shares from 0.8 to 1.5 (`benchmarks/embedder_share.py`); the share is above the best one,
since the word vectors, which the cosines compete with, have seen those sets. No label-free sign was found that tells in
which pool to trust the embedder more."""


@dataclass(frozen=True)
class Combination:
    """A weighted sum of features that are standardised within the pool.

    `weights` by mode and feature. `spreads`: the usual standard deviation of each feature within a pool. One that
    spreads far less there says little and counts for as much less, so that where no feature tells anything the first
    stage's word stands. `trust`: how many times more the first stage counts where words do not explain it.
    """

    weights: Mapping[Mode, Mapping[str, float]]
    spreads: Mapping[str, float]
    trust: Trust

    def contributions(self, features: Mapping[str, Floats], mode: Mode) -> dict[str, Floats]:
        """What each feature adds to each candidate's score, by feature; their sum is the score. Shape (n,) each.

        An embedder's cosines, where there are any, count alike in every mode. The first stage counts once.
        """
        weights = self.weights[mode]
        parts = {name: weights[name] * standard(features[name], self.spreads[name]) for name in weights}
        cosines = features.get(EMBEDDING)
        return parts if cosines is None else {**parts, EMBEDDING: SHARE * standard(cosines, SPREAD)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Combination:
        return cls(data["weights"], data["spreads"], Trust(**data["trust"]))

    def to_data(self) -> dict[str, Any]:
        return {"weights": self.weights, "spreads": self.spreads, "trust": asdict(self.trust)}


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
    return Combination.from_data(json.loads(files("tamis.rankers.learned").joinpath(FILE).read_text(encoding="utf-8")))


def fingerprint() -> str:
    """SHA-256 of the packaged weights and word vectors, as the model card states it."""
    digest = hashlib.sha256()
    for package, name in (("tamis.rankers.learned", FILE), ("tamis.text", "words.npz")):
        digest.update(files(package).joinpath(name).read_bytes())
    return digest.hexdigest()
