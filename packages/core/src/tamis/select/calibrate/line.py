"""A logistic line through a few features, applied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
