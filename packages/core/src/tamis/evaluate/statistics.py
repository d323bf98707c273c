"""How sure a mean is, and whether two systems differ: by scipy's resampling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tamis.errors import installed
from tamis.evaluate.result import Comparison, Interval

RESAMPLES = 4999
EXACT = 12
"""Up to this many differences, all 2**12 sign flips are tried, which is fewer than `RESAMPLES` and exact."""
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
    with installed("Evaluation", "eval"):
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
    rows = [
        {query: value - values[baseline][query] for query, value in values[system].items() if query in values[baseline]}
        for system, baseline in pairs
    ]
    ps = _ps(rows, seed)
    return [
        _comparison(system, baseline, metric, list(row.values()), p, corrected, seed)
        for (system, baseline), row, p, corrected in zip(pairs, rows, ps, holm(ps), strict=True)
    ]


def _comparison(
    system: str, baseline: str, metric: str, differences: Sequence[float], p: float, corrected: float, seed: int
) -> Comparison:
    found = interval(differences, seed=seed)
    better = sum(difference > SAME for difference in differences)
    worse = sum(difference < -SAME for difference in differences)
    counts = (better, worse, len(differences) - better - worse)
    return Comparison(system, baseline, metric, found.mean, found.low, found.high, p, corrected, *counts)


def _ps(rows: Sequence[Mapping[str, float]], seed: int) -> list[float]:
    """The p-value of every row of differences by query. Queries without a difference cannot change a sum of flipped
    signs and are left out, which makes more rows short enough to be exact."""
    changed = [{query: value for query, value in row.items() if abs(value) > SAME} for row in rows]
    groups = [[index] for index, row in enumerate(changed) if 2 <= len(row) <= EXACT]
    groups.append([index for index, row in enumerate(changed) if len(row) > EXACT])
    found = [1.0] * len(rows)
    for group in filter(None, groups):
        for index, p in zip(group, _flipped([changed[index] for index in group], seed), strict=True):
            found[index] = p
    return found


def _flipped(rows: Sequence[Mapping[str, float]], seed: int) -> list[float]:
    """All rows under the same sign flips, so that the flips are drawn once and one matrix product gives every sum."""
    with installed("Evaluation", "eval"):
        import numpy as np
        from scipy.stats import permutation_test

    queries = dict.fromkeys(query for row in rows for query in row)
    differences = np.array([[row.get(query, 0.0) for row in rows] for query in queries])

    def sums(signs: Any, axis: int) -> Any:
        # Sums that are equal but for rounding must count as ties: metrics take few values, ties are common.
        return np.round(signs @ differences, 9)

    found = permutation_test(
        (np.ones(len(queries)),),
        sums,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=500,
        rng=np.random.default_rng(seed),
    )
    return [float(p) for p in found.pvalue]


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
