"""Keep as many as is worth most on average. Needs calibrated probabilities."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field

from tamis.parts.numbers import Share
from tamis.parts.part import part
from tamis.select.policies.base import Floats, Policy
from tamis.values.scale import CALIBRATED

TINY = 1e-300
CELLS = 1 << 18
"""Numbers held at once in an array of nodes by candidates."""


@part
class ExpectedUtility(Policy):
    """The k that maximises the sum of (p_i - `cost`) over the first k: a relevant candidate gains 1, each one kept
    costs `cost`. The same as to keep p > cost."""

    cost: Share = 0.2
    accepts = CALIBRATED

    def count(self, scores: Floats) -> int:
        return int(np.argmax(np.concatenate([[0.0], np.cumsum(scores - self.cost)])))


@part
class ExpectedF(Policy):
    """The k with the largest expected F-`beta` of the kept set; `beta` > 1 weighs recall over precision.

    Takes the candidates' relevance as independent. An empty set has F = 1 when nothing is relevant and 0 else, so that
    k = 0 wins where relevance is unlikely anywhere. Of equal values the smallest k counts.
    Source: the maximisation of Jansche (2007), by an integral of our own.
    """

    beta: Annotated[float, Field(gt=0, le=4)] = 1.0
    accepts = CALIBRATED

    def count(self, scores: Floats) -> int:
        return int(np.argmax(expected_f(scores, self.beta)))


def expected_f(probabilities: Floats, beta: float = 1.0) -> Floats:
    """Expected F-beta of keeping the first k, for k = 0..n. Shape: n -> n + 1.

    F of a set of k with A hits, B misses outside, is (1 + b) A / (k + b (A + B)) with b = beta ** 2. Its mean is an
    integral over 0..1, since 1 / x is that of t ** (x - 1): (1 + b) t ** (k + b - 1) G(t) sum_i p_i / (1 - p_i + p_i
    t ** b), with the sum over the first k and G(t) the product of 1 - p_j + p_j t ** b over all n. It is taken over
    u = t ** (1 / 4), in which it is smooth at 0 for small b too.

    >>> expected_f(np.array([1.0, 0.5])).round(4).tolist()
    [0.0, 0.8333, 0.8333]
    """
    p, b = np.clip(probabilities, 0.0, 1.0), beta**2
    nodes, weights = _nodes(64 + 4 * math.isqrt(int(len(p) * (1 + b))))
    log_u = np.log((nodes + 1) / 2)[:, None]
    k = np.arange(1, len(p) + 1)
    means = np.zeros(len(p))
    rows = max(1, CELLS // len(p))
    for start in range(0, len(nodes), rows):
        u, weight = log_u[start : start + rows], weights[start : start + rows, None]
        factor = np.maximum(1 - p + p * np.exp(4 * b * u), TINY)
        hits = np.cumsum(p / factor, axis=1)
        power = (k + b - 1) * (4 * u) + 3 * u + np.log(factor).sum(axis=1, keepdims=True)
        means += (weight * np.exp(power) * hits).sum(axis=0)
    return np.concatenate([[np.prod(1 - p)], 2 * (1 + b) * means])


@lru_cache(maxsize=32)
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights. Their distance at the ends falls with the square of `count`; the integrand
    grows narrow there with n."""
    return np.polynomial.legendre.leggauss(count)
