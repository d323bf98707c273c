"""Fit when to keep nothing: a confidence on score vectors of labelled queries, and a threshold on it.

Source: reference-based abstention (Gisserot-Boukhlef et al., 2024, arXiv 2402.12997), standardised, and with
thresholds from queries held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamis.errors import ConfigError, installed
from tamis.select.calibrate.abstain import Abstention, judged_head
from tamis.select.calibrate.confidence import (
    Confidence,
    FittedConfidence,
    Gap,
    Linear,
    Logistic,
    Mahalanobis,
    Max,
    Shrunk,
    Stacked,
    Std,
    padded,
    simple,
)
from tamis.select.policies.base import Floats
from tamis.training.labels import judged, one_scale
from tamis.training.line import fitted
from tamis.values.ranking import Ranking
from tamis.values.scale import ABSOLUTE

if TYPE_CHECKING:
    from tamis.evaluate.dataset import Dataset

Method = Literal["max", "std", "gap", "stacked", "linear", "logistic", "mahalanobis"]
FEWEST_QUERIES, FOLDS, RATE = 20, 5, 0.05
RIDGE, INVERSE_PENALTY, MORE_PENALISED = 0.1, 10.0, 0.1
NEVER = -1e6


def fit_abstention(
    rankings: Mapping[str, Ranking],
    dataset: Dataset,
    method: Method,
    *,
    quality: str | Mapping[str, float],
    k: int,
    rate: float | None,
    target: float | None,
    seed: int,
) -> dict[str, Any]:
    """A confidence and its threshold, as fields of an `Artefact`.

    `quality`: how good each ranking is, a metric (0 for a query without relevant passages: include such queries when
    abstaining on them is the aim) or a number per query, such as whether the answer was right. `k`: how many scores the
    regressions on score vectors read. `rate`: the share of queries to abstain on (default 0.05); `target`: instead,
    the mean quality to reach on those answered. Confidences for the threshold are of queries held out (5 folds drawn
    with `seed`).
    """
    if rate is not None and target is not None:
        raise ConfigError(f"give a rate or a target, not both: {rate} and {target}")
    if rate is not None and not 0 <= rate <= 1:
        raise ConfigError(f"rate is a share of queries, 0 to 1, got {rate}")
    known = judged(rankings, dataset) if isinstance(quality, str) else rankings
    heads = {query: judged_head(ranking) for query, ranking in known.items()}
    scores = [np.array(head) for head in heads.values() if head is not None]
    values = _values(quality, dataset, {query: rankings[query] for query, head in heads.items() if head is not None})
    notes = (
        [f"{skipped} queries with unjudged candidates are left out"] if (skipped := len(heads) - len(scores)) else []
    )
    scale = one_scale(rankings)
    found: dict[str, Any] = {"scale": scale.kind, "queries": len(scores)}
    if len(set(values.tolist())) < 2:
        notes.append(f"all {len(scores)} queries are of the same quality: never abstains")
        return {**found, "fitted": Abstention(Max(), None), "notes": tuple(notes)}
    chosen: str = method
    if method not in SIMPLE and len(scores) < FEWEST_QUERIES:
        chosen = "max" if scale.kind in ABSOLUTE else "gap"
        notes.append(f"{len(scores)} queries are too few for {method} ({FEWEST_QUERIES}): {chosen} is used instead")
    sure = _held_out(chosen, scores, values, k, seed)
    threshold = (
        _for_target(sure, values, target, notes)
        if target is not None
        else _for_rate(sure, RATE if rate is None else rate)
    )
    abstention = Abstention(_confidence(chosen, scores, values, k), threshold)
    return {**found, "fitted": abstention, "report": _report(sure, values, threshold), "notes": tuple(notes)}


def _values(quality: str | Mapping[str, float], dataset: Dataset, rankings: Mapping[str, Ranking]) -> Floats:
    if isinstance(quality, str):
        from tamis.evaluate import metrics
        from tamis.evaluate.metric_names import canonical

        quality = canonical(quality)
        found = metrics.values([quality], dataset, rankings)
        return np.array([found.get(query, {}).get(quality, 0.0) for query in rankings])
    if missing := [query for query in rankings if query not in quality]:
        raise ConfigError(f"quality has no number for {len(missing)} queries, such as {missing[0]!r}")
    return np.array([float(quality[query]) for query in rankings])


def _held_out(method: str, scores: Sequence[Floats], values: Floats, k: int, seed: int) -> Floats:
    """The confidence in each query, by a fit that has not seen it."""
    if method in SIMPLE:
        return np.array([SIMPLE[method].of(one) for one in scores])
    fold = np.random.default_rng(seed).permutation(len(scores)) % FOLDS
    found = np.empty(len(scores))
    for number in range(FOLDS):
        inside = np.flatnonzero(fold == number)
        outside = np.flatnonzero(fold != number)
        if len(set(values[outside].tolist())) < 2:
            outside = np.arange(len(scores))
        confidence = _confidence(method, [scores[i] for i in outside.tolist()], values[outside], k)
        found[inside] = [confidence.of(scores[i]) for i in inside.tolist()]
    return found


def _for_rate(sure: Floats, rate: float) -> float:
    return float(np.quantile(sure, rate))


def _for_target(sure: Floats, values: Floats, target: float, notes: list[str]) -> float | None:
    """The confidence at the end of the largest group of surest queries whose mean quality reaches `target`."""
    order = np.argsort(-sure, kind="stable")
    means = np.cumsum(values[order]) / np.arange(1, len(order) + 1)
    ends = np.append(sure[order][:-1] != sure[order][1:], True)
    reaching = np.flatnonzero((means >= target) & ends)
    if len(reaching):
        last = int(reaching[-1])
        return None if last == len(order) - 1 else float(sure[order[last]])
    best = int(np.argmax(np.where(ends, means, -np.inf)))
    on = f"on {best + 1} of {len(order)} queries"
    notes.append(
        f"no threshold reaches a mean of {target:g}: that of the best, {means[best]:.3g} {on}, is used instead"
    )
    return float(sure[order[best]])


def _report(sure: Floats, values: Floats, threshold: float | None) -> dict[str, float]:
    from tamis.evaluate.abstention import nauc

    kept = np.ones(len(sure), bool) if threshold is None else sure >= threshold
    found = {
        "nauc": nauc(sure.tolist(), values.tolist()),
        "rate": 1 - kept.mean(),
        "quality": values.mean(),
        "quality_answered": values[kept].mean() if kept.any() else np.nan,
    }
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def _confidence(method: str, scores: Sequence[Floats], values: Floats, k: int) -> Confidence:
    if method in SIMPLE:
        return SIMPLE[method]
    if method == "stacked":
        return _stacked(scores, values)
    if method in SHRUNK:
        return _shrunk(method, scores, values, k)
    return _fit(method, scores, values, k)


def _fit(method: str, scores: Sequence[Floats], values: Floats, k: int) -> FittedConfidence:
    fit: FittedConfidence = FITS[method](*_features(scores, k), values)
    return fit


def _shrunk(method: str, scores: Sequence[Floats], values: Floats, k: int) -> Confidence:
    """The fit, drawn towards the best label-free confidence as far as costs nothing that can be told from noise: the
    largest share whose mean over folds is within one standard error of the best (Breiman et al., 1984)."""
    from tamis.evaluate.abstention import nauc

    simple = max(SIMPLE.values(), key=lambda one: nauc([one.of(each) for each in scores], values.tolist()))
    easy = np.array([simple.of(one) for one in scores])
    fold = np.arange(len(scores)) % FOLDS
    worth: list[list[float]] = []
    for number in range(FOLDS):
        inside, outside = fold == number, fold != number
        if min(len(set(values[inside].tolist())), len(set(values[outside].tolist()))) > 1:
            fit = _fit(method, [scores[i] for i in np.flatnonzero(outside).tolist()], values[outside], k)
            told = np.array([fit.of(one) for one in scores])
            centres, spreads = _standard(told[outside], easy[outside])
            both = (told[inside] - centres[0]) / spreads[0], (easy[inside] - centres[1]) / spreads[1]
            drawn = [(1.0 - share) * both[0] + share * both[1] for share in SHARES]
            worth.append([nauc(one.tolist(), values[inside].tolist()) for one in drawn])
    found = np.array([row for row in worth if np.isfinite(row).all()])
    share = SHARES[-1]
    if len(found) > 1:
        means, errors = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
        best = int(np.argmax(means))
        share = SHARES[int(np.flatnonzero(means >= means[best] - errors[best])[-1])]
    fit = _fit(method, scores, values, k)
    return Shrunk(fit, simple, share, *_standard(np.array([fit.of(one) for one in scores]), easy))


def _standard(told: Floats, easy: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """Means, and standard deviations that can be divided by."""
    first, second = (float(each.std()) if each.std() > 1e-12 else 1.0 for each in (told, easy))
    return (float(told.mean()), float(easy.mean())), (first, second)


def _stacked(scores: Sequence[Floats], values: Floats) -> Stacked:
    """Logistic regression to the quality, on a scale of 0 to 1, as the chance of being good."""
    good = (values - values.min()) / (values.max() - values.min())
    (highest, deviation, gap), intercept = fitted(np.stack([simple(one) for one in scores]), good, MORE_PENALISED)
    return Stacked(highest, deviation, gap, intercept)


def _features(scores: Sequence[Floats], k: int) -> tuple[dict[str, Any], Floats]:
    """What all fitted confidences share, and the standardised score vectors."""
    width = min(k, max(len(one) for one in scores))
    pad = float(min(one.min() for one in scores))
    rows = np.stack([padded(one, width, pad) for one in scores])
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 1e-12 * np.maximum(np.abs(centre), 1e-12), spread, 1.0)
    return {"centre": _numbers(centre), "spread": _numbers(spread), "pad": pad}, (rows - centre) / spread


def _linear(shared: Mapping[str, Any], rows: Floats, values: Floats) -> Linear:
    with installed("Fitting", "eval"):
        from sklearn.linear_model import Ridge

    model = Ridge(alpha=RIDGE).fit(rows, values)
    return Linear(**shared, weights=_numbers(model.coef_), intercept=float(model.intercept_))


def _classes(values: Floats) -> NDArray[np.int64]:
    """0 bad, 1 middle, 2 good: the lowest and the highest quarter; below and above the mean when quarters coincide."""
    low, high = np.quantile(values, [0.25, 0.75])
    if low == high:
        return np.where(values < values.mean(), 0, 2)
    return np.where(values <= low, 0, np.where(values >= high, 2, 1))


def _logistic(shared: Mapping[str, Any], rows: Floats, values: Floats) -> Logistic:
    with installed("Fitting", "eval"):
        from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=5_000).fit(rows, _classes(values))
    weights, intercepts = np.zeros((3, rows.shape[1])), np.full(3, NEVER)
    if len(model.classes_) == 2:
        weights[model.classes_[1]], intercepts[model.classes_[1]] = model.coef_[0], model.intercept_[0]
        intercepts[model.classes_[0]] = 0.0
    else:
        weights[model.classes_], intercepts[model.classes_] = model.coef_, model.intercept_
    bad, middle, good = map(_numbers, weights)
    first, second, third = _numbers(intercepts)
    return Logistic(**shared, weights=(bad, middle, good), intercepts=(first, second, third))


def _mahalanobis(shared: Mapping[str, Any], rows: Floats, values: Floats) -> Mahalanobis:
    found: dict[str, Any] = {}
    for name, group in (("bad", 0), ("good", 2)):
        members = rows[_classes(values) == group]
        found[name] = _numbers(members.mean(axis=0))
        found[f"{name}_precision"] = tuple(map(_numbers, _precision(members)))
    return Mahalanobis(**shared, **found)


def _precision(rows: Floats) -> Floats:
    """Inverse covariance, the identity where there is none."""
    width = rows.shape[1]
    if len(rows) <= width:
        return np.eye(width)
    covariance: Floats = np.atleast_2d(np.cov(rows, rowvar=False))
    singular = np.linalg.matrix_rank(covariance) < width
    return np.eye(width) if singular else np.asarray(np.linalg.inv(covariance), dtype=np.float64)


def _numbers(values: Floats) -> tuple[float, ...]:
    return tuple(map(float, values))


SIMPLE: Mapping[str, Confidence] = {"max": Max(), "std": Std(), "gap": Gap()}
SHRUNK = ("linear", "logistic")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
FITS: Mapping[str, Any] = {"linear": _linear, "logistic": _logistic, "mahalanobis": _mahalanobis}
