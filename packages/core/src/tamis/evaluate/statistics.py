"""How sure a mean is, and whether two systems differ: by scipy's resampling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tamis.evaluate.extra import needed
from tamis.evaluate.result import Comparison, Interval

RESAMPLES = 4999
SAME = 1e-9
"""Differences smaller than this are rounding."""


def interval(values: Sequence[float], *, seed: int = 0, level: float = 0.95) -> Interval:
    """Mean with its percentile bootstrap interval over queries. With fewer than two distinct values the interval is
    the mean itself; without values all is NaN.

    >>> interval([0.5, 0.5])
    Interval(mean=0.5, low=0.5, high=0.5, n=2)
    """
    if not values:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / len(values)
    if max(values) - min(values) <= SAME:
        return Interval(mean, mean, mean, len(values))
    with needed():
        import numpy as np
        from scipy.stats import bootstrap

    found = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), len(values))


def compare(
    values: Mapping[str, Mapping[str, float]], pairs: Sequence[tuple[str, str]], metric: str, *, seed: int = 0
) -> list[Comparison]:
    """Each pair (system, baseline), over the queries both have a value for; `values`: system to query to value.

    Two-sided paired randomisation test (Fisher's, with random sign flips; Smucker et al., 2007), corrected by Holm
    over these pairs.
    """
    made = [_pair(values[system], values[baseline], seed) for system, baseline in pairs]
    corrected = holm([p for _, p, _ in made])
    return [
        Comparison(system, baseline, metric, found.mean, found.low, found.high, p, together, *counts)
        for (system, baseline), (found, p, counts), together in zip(pairs, made, corrected, strict=True)
    ]


def _pair(
    system: Mapping[str, float], baseline: Mapping[str, float], seed: int
) -> tuple[Interval, float, tuple[int, int, int]]:
    differences = [system[query] - baseline[query] for query in system if query in baseline]
    better = sum(difference > SAME for difference in differences)
    worse = sum(difference < -SAME for difference in differences)
    return interval(differences, seed=seed), _p(differences, seed), (better, worse, len(differences) - better - worse)


def _p(differences: Sequence[float], seed: int) -> float:
    changed = [difference for difference in differences if abs(difference) > SAME]
    if len(changed) < 2:
        return 1.0
    with needed():
        import numpy as np
        from scipy.stats import permutation_test

    found = permutation_test(
        (np.asarray(changed),),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=500,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(ps: Sequence[float]) -> list[float]:
    """P-values corrected for how many there are, each at least its own value (Holm, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = highest
    return corrected
