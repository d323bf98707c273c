"""Choosing one by one, each time with regard to what was chosen before: relevance and variety together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tamis.pool.sparse import Floats


def greedy(gain: Callable[[], Floats], taken: Callable[[int], None], n: int, enough: float = -np.inf) -> list[int]:
    """Indices 0 to n - 1 in the order chosen: each time the largest `gain()`, of equals the first.

    `taken` receives each chosen index. Once no gain is above `enough`, the rest follows in order.
    """
    left, order = np.ones(n, dtype=bool), []
    for _ in range(n):
        gains = np.where(left, gain(), -np.inf)
        best = int(np.argmax(gains))
        if not gains[best] > enough:
            break
        left[best] = False
        order.append(best)
        taken(best)
    return order + np.flatnonzero(left).tolist()


def marginal_relevance(relevance: Floats, rows: Floats, loss: float) -> tuple[list[int], Floats]:
    """Every index once, each time the largest `relevance` - `loss` x largest cosine to one chosen before.

    `rows`: n x width, each of length 1 or 0. Also returns, for each index, that cosine at the time it was chosen (0 for
    the first, at least 0 for all). Source: maximal marginal relevance (Carbonell and Goldstein, 1998).

    >>> order, nearest = marginal_relevance(np.array([1.0, 0.9, 0.5]), np.array([[1.0, 0], [1, 0], [0, 1]]), 1.0)
    >>> order, nearest.tolist()
    ([0, 2, 1], [0.0, 1.0, 0.0])
    """
    nearest, chosen = np.zeros(len(relevance)), np.zeros(len(relevance))

    def gain() -> Floats:
        # Rounded, so that candidates that are equal stay equal whatever the order of the sums.
        return relevance - loss * np.round(nearest, 12)

    def taken(index: int) -> None:
        chosen[index] = round(float(nearest[index]), 12)
        np.maximum(nearest, rows @ rows[index], out=nearest)

    return greedy(gain, taken, len(relevance)), chosen
