"""Strengths that make a set of comparisons most likely, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from tamis.errors import InputError

Comparison = tuple[int, int, float]
"""(i, j, how likely i is the better: 0..1)."""

STEPS, SMALL = 100, 1e-9


def connected(n: int, compared: Sequence[Comparison]) -> bool:
    """Whether chains of comparisons link every one of 0..n-1 to every other; only then are strengths comparable.

    >>> connected(4, [(0, 1, 1.0), (2, 3, 0.0)])
    False
    """
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for i, j, _ in compared:
        parent[root(i)] = root(j)
    return len({root(i) for i in range(n)}) <= 1


def strengths(
    n: int,
    compared: Sequence[Comparison],
    *,
    model: Literal["logistic", "normal"] = "logistic",
    prior: float = 1.0,
) -> tuple[list[float], list[float]]:
    """(strength, its standard deviation) of each of 0..n-1, in logits (`"logistic"`, Bradley-Terry) or in the unit of
    zELO (`"normal"`, Thurstone: p = (1 + erf(e_i - e_j)) / 2).

    The mode of the posterior under independent normal priors of mean 0 and precision `prior`, by Fisher scoring, and
    the spread of the normal around it. A prior keeps strengths finite where someone never lost. Strengths add up to 0
    when `prior` > 0. Raises `InputError` when `prior` is 0 and the comparisons do not connect all.

    >>> strengths(2, [(0, 1, 0.75), (1, 0, 0.25)], prior=1e-9)[0]
    [0.549..., -0.549...]
    """
    import numpy as np

    if not n:
        return [], []
    if prior <= 0 and not connected(n, compared):
        raise InputError(f"{len(compared)} comparisons do not connect all {n}: compare more, or set prior > 0")
    if any(i == j or not (0 <= i < n and 0 <= j < n) for i, j, _ in compared):
        raise InputError(f"a comparison must name two different indices below {n}")
    i, j = (np.array([pair[side] for pair in compared], dtype=np.intp) for side in (0, 1))
    won = np.array([pair[2] for pair in compared], dtype=np.float64)
    value = np.zeros(n)
    ridge = max(prior, 1e-12) * np.eye(n)
    information = ridge
    for _ in range(STEPS):
        p, slope = _logistic(value[i] - value[j]) if model == "logistic" else _normal(value[i] - value[j])
        variance = np.maximum(p * (1 - p), SMALL)
        pull, weight = (won - p) * slope / variance, slope * slope / variance
        gradient = np.bincount(i, pull, n) - np.bincount(j, pull, n) - prior * value
        information = ridge.copy()
        np.add.at(information, (i, i), weight)
        np.add.at(information, (j, j), weight)
        np.subtract.at(information, (i, j), weight)
        np.subtract.at(information, (j, i), weight)
        step = np.linalg.solve(information, gradient)
        largest = float(np.abs(step).max())
        value = value + step * min(1.0, 2.0 / largest if largest else 1.0)
        if largest < 1e-10:
            break
    if prior <= 0:
        value = value - value.mean()
    deviation = np.sqrt(np.maximum(np.diag(np.linalg.inv(information)), 0.0))
    return value.tolist(), deviation.tolist()


def _logistic(gap: Any) -> tuple[Any, Any]:
    import numpy as np

    p = 1.0 / (1.0 + np.exp(-np.clip(gap, -50, 50)))
    return p, p * (1.0 - p)


def _normal(gap: Any) -> tuple[Any, Any]:
    import numpy as np

    gap = np.clip(gap, -4.0, 4.0)
    p = np.array([0.5 * (1.0 + math.erf(x)) for x in gap])
    return p, np.exp(-gap * gap) / math.sqrt(math.pi)


def membership(mean: Sequence[float], deviation: Sequence[float], top: int) -> list[float]:
    """How likely each is among the first `top`: the chance to exceed the threshold that `top` exceed on average.

    >>> membership([2.0, 0.0, -2.0], [0.1, 0.1, 0.1], 1)
    [1.0, 0.0, 0.0]
    """
    if top >= len(mean):
        return [1.0] * len(mean)
    spread = 10 * max([1e-6, *deviation])
    low, high = min(mean) - spread, max(mean) + spread
    for _ in range(60):
        middle = (low + high) / 2
        expected = sum(_above(m, d, middle) for m, d in zip(mean, deviation, strict=True))
        low, high = (middle, high) if expected > top else (low, middle)
    return [round(_above(m, d, (low + high) / 2), 12) for m, d in zip(mean, deviation, strict=True)]


def _above(mean: float, deviation: float, threshold: float) -> float:
    return 0.5 * math.erfc((threshold - mean) / (max(deviation, 1e-9) * math.sqrt(2)))
