"""Choosing one by one, each time with regard to what was chosen before: relevance and variety together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tamis.pool.similar import Similar
from tamis.pool.sparse import Floats

MOST = 1_000
"""Candidates chosen one by one: each choice looks at all that are left, so that choosing all takes quadratic time."""


PART = 64
"""Factors of a decomposition held in one array."""


def greedy(gain: Callable[[], Floats], taken: Callable[[int], None], n: int, enough: float = -np.inf) -> list[int]:
    """Indices below `n` in the order chosen: each time the largest `gain()`, of equals the first.

    `taken` receives each chosen index. Ends with `MOST`, or when no gain is above `enough`.
    """
    left, order = np.ones(n, dtype=bool), list[int]()
    while len(order) < min(n, MOST):
        gains = np.where(left, gain(), -np.inf)
        best = int(np.argmax(gains))
        if not gains[best] > enough:
            break
        left[best] = False
        order.append(best)
        taken(best)
    return order


def marginal_relevance(relevance: Floats, similar: Similar, loss: float) -> tuple[list[int], Floats]:
    """Indices in the order chosen, `MOST` of them: each time the largest `relevance` - `loss` x largest cosine to one
    chosen before.

    Also returns, for each index, that cosine at the time it was chosen, and for those not chosen at the end (0 for the
    first, at least 0 for all). Source: maximal marginal relevance (Carbonell and Goldstein, 1998).

    >>> from tamis.pool.similar import Rows
    >>> rows = Rows(np.array([[1.0, 0], [1, 0], [0, 1]]))
    >>> order, nearest = marginal_relevance(np.array([1.0, 0.9, 0.5]), rows, 1.0)
    >>> order, nearest.tolist()
    ([0, 2, 1], [0.0, 1.0, 0.0])
    """
    nearest, chosen = np.zeros(len(relevance)), np.full(len(relevance), np.nan)

    def gain() -> Floats:
        # Rounded, so that candidates that are equal stay equal whatever the order of the sums.
        return relevance - loss * np.round(nearest, 12)

    def taken(index: int) -> None:
        chosen[index] = round(float(nearest[index]), 12)
        np.maximum(nearest, similar.to(index), out=nearest)

    order = greedy(gain, taken, len(relevance))
    return order, np.where(np.isnan(chosen), np.round(nearest, 12), chosen)


def largest_volume(weight: Floats, similar: Similar) -> list[int]:
    """Indices in the order chosen, each time what adds most to the determinant of the kernel weight_i cosine_ij
    weight_j; `MOST` of them, or until the others add nothing.

    Source: greedy MAP of a determinantal point process (Chen, Zhang and Zhou, 2018).
    """
    variance = weight**2 * similar.squares
    parts: list[Floats] = []
    count = 0

    def taken(index: int) -> None:
        nonlocal count
        shared = weight * weight[index] * similar.to(index)
        for part in parts:
            shared -= part[:, index] @ part
        if count % PART == 0:
            parts.append(np.zeros((PART, len(weight))))
        factor = parts[-1][count % PART]
        np.divide(shared, np.sqrt(variance[index]), out=factor)
        np.subtract(variance, factor**2, out=variance)
        count += 1

    enough = 1e-9 * float(variance.max(initial=0.0))
    return greedy(lambda: np.round(variance, 12), taken, len(weight), enough)
