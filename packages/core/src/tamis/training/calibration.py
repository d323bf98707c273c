"""Fit to labelled queries what policies and stages of `tamis.select` apply. Extra: `eval` (scikit-learn)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from tamis.errors import ConfigError, installed
from tamis.evaluate.reliability import bins, brier, ece
from tamis.parts.part import unknown
from tamis.select.calibrate.artefact import Artefact
from tamis.select.calibrate.calibration import Calibration, Conformal, Isotonic, Platt, Temperature, Unit
from tamis.select.calibrate.in_list import InList, features
from tamis.select.calibrate.scorer import scorer_id, scoring
from tamis.select.policies.base import Floats
from tamis.select.policies.mass import softmax
from tamis.stage.base import Stage, flattened
from tamis.training.abstention import Method as Confidences
from tamis.training.abstention import fit_abstention
from tamis.training.labels import Labels
from tamis.training.line import fitted
from tamis.values.ranking import Ranking

if TYPE_CHECKING:
    from tamis.evaluate.dataset import Dataset

FEWEST_PAIRS, FEWEST_QUERIES, FEWEST_ISOTONIC = 200, 20, 1_000
FOLDS = 5
INVERSE_PENALTY, UNPENALISED = 10.0, 1e9

Fit = Callable[[Labels], Calibration]


def fit(
    rankings: Mapping[str, Ranking],
    dataset: Dataset,
    method: str = "platt",
    *,
    scorer: Stage,
    quality: str | Mapping[str, float] = "nDCG@10",
    k: int = 10,
    rate: float | None = None,
    target: float | None = None,
    seed: int = 0,
) -> Artefact:
    """Fit `method` to the rankings that `scorer` made of judged queries, by query id.

    Args:
        method: `platt`, `isotonic` or `in_list` (probabilities, for `Calibrate`), `temperature` (for `softmax_mass`),
            `conformal` (for `conformal_recall`), or a confidence for `Abstain`: `max`, `std`, `gap`, `stacked`,
            `linear`, `logistic`, `mahalanobis`.
        scorer: the stage or pipeline that made the rankings; the artefact works after no other.
        quality, k, rate, target, seed: for confidences only; see `fit_abstention`.

    With fewer than 200 pairs or 20 queries, or labels that teach nothing, something simpler is used; `Artefact.notes`
    say what and why. `report` holds `ece` and `brier` of predictions for queries held out (5 folds), before fitting as
    `ece_unfitted`, or `nauc` for a confidence. Raises `ConfigError` for an unknown method and rankings without scores,
    `MissingExtra` without scikit-learn.

    >>> artefact = fit(rankings, dataset, "platt", scorer=pipeline)      # doctest: +SKIP
    >>> artefact.write("calibration.json")                               # doctest: +SKIP
    """
    if method in get_args(Confidences):
        fields = fit_abstention(
            rankings, dataset, cast(Confidences, method), quality=quality, k=k, rate=rate, target=target, seed=seed
        )
    elif method in FITS:
        labels = Labels.of(rankings, dataset)
        fields = {"scale": labels.scale.kind, **labels.counts, **FITS[method](labels)}
    else:
        raise ConfigError(unknown("calibration method", method, [*FITS, *get_args(Confidences)]))
    cuts = [type(stage).__name__ for stage in flattened(scorer)[len(scoring(scorer)) :]]
    if cuts:
        note = f"only what {' and '.join(cuts)} kept was seen: fit to rankings of the stages in front"
        fields["notes"] = (*fields.get("notes", ()), note)
    return Artefact(scorer_id(scorer), **fields)


def _platt(labels: Labels) -> dict[str, Any]:
    return _calibration(labels, platt)


def _isotonic(labels: Labels) -> dict[str, Any]:
    if FEWEST_PAIRS <= len(labels.scores) < FEWEST_ISOTONIC:
        found = _calibration(labels, platt)
        note = (
            f"{len(labels.scores)} labelled pairs are too few for isotonic ({FEWEST_ISOTONIC}): platt is used instead"
        )
        return {**found, "notes": (note, *found["notes"])}
    return _calibration(labels, isotonic)


def _in_list(labels: Labels) -> dict[str, Any]:
    return _calibration(labels, in_list)


def _calibration(labels: Labels, made: Fit) -> dict[str, Any]:
    reason = too_little(labels)
    if reason is None and (slope := platt(labels).slope) <= 0:
        reason = f"scores do not rise with relevance (slope {slope:.3g})"
    if reason is not None:
        note = f"{reason}: scores are mapped to 0..1 by their scale instead"
        return {"fitted": Unit(), "notes": (note,), **_quality(labels, lambda part: Unit())}
    return {"fitted": made(labels), "notes": (), **_quality(labels, made)}


def too_little(labels: Labels) -> str | None:
    """Why these labels cannot be fitted to, or `None`."""
    counts = labels.counts
    if counts["pairs"] < FEWEST_PAIRS or counts["queries"] < FEWEST_QUERIES:
        return (
            f"{counts['pairs']} labelled pairs of {counts['queries']} queries are too few "
            f"({FEWEST_PAIRS} of {FEWEST_QUERIES})"
        )
    if counts["relevant"] in (0, counts["pairs"]):
        return f"{counts['relevant']} of {counts['pairs']} pairs are relevant"
    return None


def platt(labels: Labels) -> Platt:
    """Logistic regression on the score, to Platt's softened targets. A falling line becomes a flat one."""
    y, n = labels.relevant, len(labels.relevant)
    hits = int(y.sum())
    target = np.where(y, (hits + 1) / (hits + 2), 1 / (n - hits + 2))
    (slope,), intercept = fitted(labels.scores[:, None], target, UNPENALISED)
    return Platt(slope, intercept) if slope > 0 else Platt(0.0, intercept + slope * float(labels.scores.mean()))


def isotonic(labels: Labels) -> Isotonic:
    """Isotonic regression, kept off 0 and 1 by what the number of labels can support."""
    with installed("Fitting", "eval"):
        from sklearn.isotonic import IsotonicRegression

    margin = 1 / (len(labels.scores) + 2)
    model = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
    model.fit(labels.scores, labels.relevant.astype(float))
    return Isotonic(tuple(model.X_thresholds_.tolist()), tuple(np.maximum.accumulate(model.y_thresholds_).tolist()))


def in_list(labels: Labels) -> InList:
    """Logistic regression on what `features` reads of each list, in the order of its scores."""
    lists = labels.lists()
    orders = [np.argsort(-scores, kind="stable") for scores, _ in lists]
    x = np.concatenate([features(scores[order]) for (scores, _), order in zip(lists, orders, strict=True)])
    y = np.concatenate([relevant[order] for (_, relevant), order in zip(lists, orders, strict=True)])
    (score, rank, gap, level), intercept = fitted(x, y.astype(float), INVERSE_PENALTY)
    return InList(score, rank, gap, level, intercept)


def _quality(labels: Labels, made: Fit) -> dict[str, Any]:
    """`report` and `reliability` of an `Artefact`: `ece` and `brier` on held-out queries, and `ece_unfitted` of the
    scale's own mapping."""
    if not labels.scores.size:
        return {}
    predicted = np.empty(len(labels.scores))
    fold = labels.query % FOLDS
    for number in np.unique(fold):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        calibration = made(labels.at(outside) if labels.relevant[outside].any() else labels)
        predicted[inside] = applied(calibration, labels.at(inside))
    truth = labels.relevant.tolist()
    unfitted = ece(applied(Unit(), labels), truth)
    held_out = predicted.tolist()
    return {
        "report": {"ece": ece(held_out, truth), "brier": brier(held_out, truth), "ece_unfitted": unfitted},
        "reliability": tuple(astuple(found) for found in bins(held_out, truth)),
    }


def applied(calibration: Calibration, labels: Labels) -> list[float]:
    """The calibration on each query's scores, as `Calibrate` applies it."""
    return [p for scores, _ in labels.lists() for p in calibration.probabilities(scores.tolist(), labels.scale)]


def _temperature(labels: Labels) -> dict[str, Any]:
    """The temperature, among 161 around the usual spread of a list, under which the relevant candidates are likeliest.

    The softmax of a list is read as the probability of being the one relevant candidate drawn: with R relevant ones
    each counts 1 / R. Lists without a relevant one say nothing about it and are left out. The likelihood, because the
    least calibration error is reached by the highest temperature: a uniform guess is perfectly calibrated.
    """
    found = [(scores, relevant) for scores, relevant in labels.lists() if relevant.any() and len(scores) > 1]
    if len(found) < FEWEST_QUERIES:
        few = f"{len(found)} queries with relevant candidates are too few ({FEWEST_QUERIES})"
        return {"fitted": Temperature(None), "notes": (f"{few}: the spread of each list is used instead",)}
    orders = [np.argsort(-scores, kind="stable") for scores, _ in found]
    lists = [scores[order] for (scores, _), order in zip(found, orders, strict=True)]
    truth = np.concatenate([relevant[o] / relevant.sum() for (_, relevant), o in zip(found, orders, strict=True)])

    def mass(temperature: float | None) -> Floats:
        return np.concatenate([softmax(scores, temperature) for scores in lists])

    def surprise(temperature: float) -> float:
        return -float(truth @ np.log(np.maximum(mass(temperature), 1e-300)))

    spread = float(np.median([scores.std() for scores in lists])) or 1.0
    best = min((spread * 10.0**power for power in np.linspace(-2, 2, 161)), key=surprise)
    errors = {name: ece(mass(t).tolist(), truth.tolist()) for name, t in (("ece", best), ("ece_unfitted", None))}
    return {"fitted": Temperature(best), "report": errors}


def _conformal(labels: Labels) -> dict[str, Any]:
    relevant = sorted(labels.scores[labels.relevant].tolist())
    notes = []
    if len(relevant) < FEWEST_QUERIES:
        least = 1 / (len(relevant) + 1)
        notes.append(
            f"{len(relevant)} relevant scores are few ({FEWEST_QUERIES}): an alpha below {least:.2g} keeps all"
        )
    if labels.queries < FEWEST_QUERIES:
        notes.append(f"{labels.queries} queries are few ({FEWEST_QUERIES}): the share found may be far from 1 - alpha")
    return {"fitted": Conformal(tuple(relevant)), "notes": tuple(notes)}


FITS: Mapping[str, Callable[[Labels], dict[str, Any]]] = {
    "platt": _platt,
    "isotonic": _isotonic,
    "in_list": _in_list,
    "temperature": _temperature,
    "conformal": _conformal,
}
"""By method: from labels to fields of an `Artefact`."""
