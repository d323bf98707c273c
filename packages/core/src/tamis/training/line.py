"""A logistic line through a few features, fitted to labels."""

from __future__ import annotations

import numpy as np

from tamis.errors import installed
from tamis.select.policies.base import Floats


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
