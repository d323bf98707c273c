"""The scale of a score is a type, not a comment: it says which arithmetic on scores is meaningful."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tamis.errors import ScaleError

Kind = Literal["unknown", "ordinal", "fusion", "lexical", "probability", "logit", "graded", "cosine", "log_likelihood"]


@dataclass(frozen=True, slots=True)
class Scale:
    """What a score means. Higher is always better.

    `unknown`: whatever the retriever gave. `ordinal`: only the order means something. `fusion`: sums of
    reciprocal ranks or of normalised scores, comparable within one query. `lexical`: BM25-like, >= 0, unbounded,
    comparable within one query. `probability`: 0..1. `logit`, `log_likelihood`: real. `graded`: low..high.
    `cosine`: -1..1.

    >>> graded(0, 22.5)
    Scale(kind='graded', low=0, high=22.5)
    """

    kind: Kind
    low: float | None = None
    high: float | None = None

    def normalised(self, scores: Sequence[float | None]) -> list[float | None]:
        """Map one query's scores to 0..1, keeping `None`. Absolute where the scale allows, else relative to the best.

        Raises `ScaleError` for `ordinal` scores, whose distances mean nothing.
        """
        known = [score for score in scores if score is not None]
        if not known:
            return list(scores)
        if self.kind == "ordinal":
            raise ScaleError("ordinal scores have no distances; put a stage that scores (not only orders) in front")
        if self.kind == "logit":
            return [None if score is None else sigmoid(score) for score in scores]
        if self.kind == "lexical":
            return rescale(scores, 0.0, max(max(known), 0.0))
        if self.kind in ("unknown", "fusion", "log_likelihood"):
            return rescale(scores, min(known), max(known))
        low = 0.0 if self.kind == "cosine" else self.low or 0.0
        return rescale(scores, low, 1.0 if self.high is None else self.high)


Kinds = frozenset[Kind]
ANY: Kinds = frozenset(get_args(Kind))
DISTANCES: Kinds = ANY - {"ordinal"}
"""Differences of two scores of one query mean something."""
ABSOLUTE: Kinds = DISTANCES - {"fusion", "lexical"}
"""A score means the same for every query."""
FROM_ZERO: Kinds = DISTANCES - {"logit", "log_likelihood"}
"""Zero is the bottom, so that a share of the best score means something."""
CALIBRATED: Kinds = frozenset({"probability"})

UNKNOWN = Scale("unknown")
ORDINAL = Scale("ordinal")
FUSION = Scale("fusion")
LEXICAL = Scale("lexical", 0.0)
PROBABILITY = Scale("probability", 0.0, 1.0)
LOGIT = Scale("logit")
COSINE = Scale("cosine", -1.0, 1.0)
LOG_LIKELIHOOD = Scale("log_likelihood", None, 0.0)


def graded(low: float, high: float) -> Scale:
    """A bounded scale such as 0..10."""
    return Scale("graded", low, high)


def rescale(scores: Sequence[float | None], low: float, high: float) -> list[float | None]:
    """Map `low`..`high` to 0..1, clipped. With no spread every known score becomes 1."""
    if high <= low:
        return [None if score is None else 1.0 for score in scores]
    return [None if score is None else min(1.0, max(0.0, (score - low) / (high - low))) for score in scores]


def sigmoid(x: float) -> float:
    """Logistic function, safe for any real x."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
