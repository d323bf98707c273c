"""A logistic line through a few features: read, and fitted to labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tamis.errors import installed
from tamis.select.policies.base import Floats

LARGEST = 1e6
"""A term of a line beyond this says no more."""


def logits(rows: Floats, slopes: Sequence[float], intercept: float) -> Floats:
    """`intercept` + `rows` x `slopes`: of rows (n, m) and m slopes, shape (n,).

    >>> logits(np.array([[1.0, 2.0], [1e300, 0.0]]), (1.0, -1.0), 0.5).tolist()
    [-0.5, 1000000.5]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        terms: Floats = np.clip(rows * np.asarray(slopes), -LARGEST, LARGEST)
    return terms.sum(axis=-1) + intercept


def fitted(rows: Floats, good: Floats, inverse_penalty: float) -> tuple[list[float], float]:
    """Slopes and intercept by logistic regression, of features standardised in between.

    `good`: 0 or 1 a row, or the chance of being good. `inverse_penalty`: scikit-learn's C; large: no penalty.
    """
    with installed("Fitting", "eval"):
        from sklearn.linear_model import LogisticRegression

    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    model = LogisticRegression(C=inverse_penalty, max_iter=1_000)
    both, truth = np.tile((rows - centre) / spread, (2, 1)), np.repeat([1, 0], len(rows))
    model.fit(both, truth, sample_weight=np.concatenate([good, 1 - good]))
    slopes = model.coef_[0] / spread
    return slopes.tolist(), float(model.intercept_[0] - slopes @ centre)
