"""How well a confidence tells the queries that can be answered from those that cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from tamis.errors import installed
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.dropped import by_stage
from tamis.evaluate.result import Row
from tamis.values.ranking import Ranking

ABSOLUTE = ("probability", "logit", "graded", "cosine", "log_likelihood")
RATES = tuple(step / 10 for step in range(10))


def confidence_of(ranking: Ranking) -> float | None:
    """The ranking's own confidence, else its best score where scores of different queries can be compared.

    When all is dropped, the best score of what the last stage dropped: earlier ones may have had another scale.
    """
    if ranking.confidence is not None:
        return ranking.confidence
    if ranking.scale.kind not in ABSOLUTE:
        return None
    candidates = ranking.kept or [ranked for group in by_stage(ranking)[:1] for ranked in group]
    return max((ranked.score for ranked in candidates if ranked.score is not None), default=None)


def auroc(confidence: Sequence[float], answerable: Sequence[bool]) -> float:
    """Chance that an answerable query has the higher confidence; 0.5 is chance, NaN when there is one kind only.

    >>> auroc([0.9, 0.2, 0.4], [True, False, True])
    1.0
    """
    if len(set(answerable)) < 2:
        return math.nan
    with installed("Evaluation", "eval"):
        from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(answerable, confidence))


def risk_coverage(confidence: Sequence[float], metric: Sequence[float], rates: Sequence[float] = RATES) -> list[float]:
    """Mean metric of the queries still answered when a share `rate` may be abstained on, one for each rate.

    The threshold is the quantile of the confidence at that rate; what equals it is answered.
    """
    import numpy as np

    u, m = np.asarray(confidence, dtype=float), np.asarray(metric, dtype=float)
    return [float(m[u >= np.quantile(u, rate)].mean()) for rate in rates]


def nauc(confidence: Sequence[float], metric: Sequence[float], rates: Sequence[float] = RATES) -> float:
    """Normalised area under `risk_coverage`: 1 for the best possible confidence, 0 for a useless one, below 0 for a
    harmful one; NaN when no confidence could help. Source: Gisserot-Boukhlef et al., 2024.

    >>> nauc([0.1, 0.9, 0.5, 0.3], [0.0, 1.0, 1.0, 0.0]) > 0.9
    True
    """
    if not len(metric):
        return math.nan
    worst_first = sorted(metric)
    best = [fmean(worst_first[min(round(rate * len(metric)), len(metric) - 1) :]) for rate in rates]
    mean = fmean(metric)
    random = _area([mean] * len(rates), rates)
    possible = _area(best, rates) - random
    if possible <= 1e-12:
        return math.nan
    return (_area(risk_coverage(confidence, metric, rates), rates) - random) / possible


def _area(heights: Sequence[float], places: Sequence[float]) -> float:
    pairs = zip(heights, heights[1:], places, places[1:], strict=False)
    return sum((a + b) / 2 * (right - left) for a, b, left, right in pairs)


def summary(dataset: Dataset, rows: Mapping[str, Row], main: str) -> dict[str, float]:
    """Numbers about a system as a whole, by name; only those that mean something for it.

    `abstained`: share of queries it gave nothing for. On sets that have queries without a relevant passage:
    `abstention accuracy`, how often it kept nothing exactly where nothing is relevant, and `AUROC`, of its confidence.
    `nAUC`: of its confidence, on the main metric, where unanswerable queries count 0.
    """
    ranked = {query: row.ranking for query, row in rows.items() if row.ranking is not None}
    answerable = {query: bool(dataset.relevant(query)) for query in ranked}
    found: dict[str, float] = {}
    silent = {query: not ranking.kept for query, ranking in ranked.items()}
    if any(silent.values()):
        found["abstained"] = fmean(map(float, silent.values()))
        if not all(answerable.values()):
            found["abstention accuracy"] = fmean(float(silent[query] != answerable[query]) for query in ranked)
    confidence = {query: confidence_of(ranking) for query, ranking in ranked.items()}
    known = {query: value for query, value in confidence.items() if value is not None}
    if len(known) == len(ranked) and len(set(known.values())) > 1:
        values = list(known.values())
        if not all(answerable.values()):
            found["AUROC"] = auroc(values, [answerable[query] for query in known])
        if any(main in rows[query].values for query in known):
            found["nAUC"] = nauc(values, [rows[query].values.get(main, 0.0) for query in known])
    return {name: value for name, value in found.items() if not math.isnan(value)}
