"""Metrics by name: those of ir_measures, and our own."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from tamis.errors import ConfigError, installed
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.metric_names import meant
from tamis.evaluate.own_metrics import View, own
from tamis.values.ranking import Ranking
from tamis.values.scale import ORDINAL

DEFAULT_METRICS = ("nDCG@10", "RR@10", "AP", "R@100", "P@10", "Judged@10", "kept")
NEEDS_NO_RELEVANT = ("Judged", "NumRet")
PARTS = 10_000
"""Decimal grades are read to four places."""

Values = dict[str, dict[str, float]]
"""Query id to metric name to value."""


def check(names: Iterable[str]) -> None:
    """Raise `ConfigError` for a name that is not a metric, or one that cannot be computed here."""
    for name in names:
        if own(name) is None:
            _library(name)


def check_grades(names: Iterable[str], dataset: Dataset) -> None:
    """Raise `ConfigError` for a metric that needs whole grades where the data set has decimal ones."""
    if _parts_per_grade(dataset) == 1:
        return
    for name in names:
        if own(name) is None and not _takes_decimals(measure := _library(name)):
            raise ConfigError(
                f"metric {name!r} needs whole grades, and {dataset.name} has decimal ones; use nDCG@10, or a metric "
                f"that knows only yes and no, such as {'P@10' if measure.NAME != 'P' else 'RR@10'}"
            )


def values(names: Sequence[str], dataset: Dataset, rankings: Mapping[str, Ranking]) -> Values:
    """Every metric of every query, from what each ranking keeps, in its order.

    A passage's id is `str(candidate.id)`; a repeated one counts at its first place. Metrics that know only yes and
    no count grades from `dataset.relevant_from` on as relevant. A metric that is not defined for a query (nothing of
    a grade it counts is known, no answers are given) is left out of its values.
    """
    found: Values = {query: {} for query in rankings}
    ours = {name: metric for name in names if (metric := own(name)) is not None}
    parts = _parts_per_grade(dataset)
    theirs = {name: _library(name, dataset.relevant_from, parts) for name in names if name not in ours}
    views = {query: View.of(dataset, query, ranking) for query, ranking in rankings.items()}
    for query, view in views.items():
        for name, metric in ours.items():
            if (value := metric(view)) is not None:
                found[query][name] = value
    if theirs:
        _calculate(theirs, dataset, views, found, parts)
    return {query: {name: row[name] for name in names if name in row} for query, row in found.items()}


def _parts_per_grade(dataset: Dataset) -> int:
    """What decimal grades are multiplied by, for libraries that read whole ones only; 1 where all are whole."""
    decimal = any(grade % 1 for grades in dataset.qrels.values() for grade in grades.values())
    return PARTS if decimal else 1


def _takes_decimals(measure: Any) -> bool:
    """Whether a measure is the same when all grades are multiplied: it only compares them, or adds them up."""
    plain = not {"dcg", "gains"} & set(measure.params) or (
        measure.params.get("dcg") == "log2" and "gains" not in measure.params
    )
    return "rel" in measure.SUPPORTED_PARAMS or measure.NAME in NEEDS_NO_RELEVANT or (measure.NAME == "nDCG" and plain)


def _calculate(
    measures: Mapping[str, Any], dataset: Dataset, views: Mapping[str, View], found: Values, parts: int
) -> None:
    with installed("Evaluation", "eval"):
        import ir_measures

    judged = {query: view for query, view in views.items() if dataset.qrels.get(query)}
    # gdeval, which computes ERR, reads no other query ids than numbers.
    numbers = {query: str(number) for number, query in enumerate(judged, 1)}
    names: dict[Any, list[str]] = defaultdict(list)
    for name, measure in measures.items():
        names[measure].append(name)
    qrels = [
        ir_measures.Qrel(number, passage, max(0, round(grade * parts)))
        for query, number in numbers.items()
        for passage, grade in dataset.qrels[query].items()
    ]
    run = [
        ir_measures.ScoredDoc(numbers[query], passage, -float(rank))
        for query, view in judged.items()
        for rank, passage in enumerate(view.ids)
    ]
    for query in judged:
        best = round(max(dataset.qrels[query].values()) * parts)
        for measure, called in names.items():
            if best >= _needed(measure):
                found[query].update(dict.fromkeys(called, 0.0))
    if not run:
        return
    queries = list(judged)
    for value in ir_measures.iter_calc(list(names), qrels, run):
        row = found[queries[int(value.query_id) - 1]]
        row.update({name: float(value.value) for name in names[value.measure] if name in row})


def _needed(measure: Any) -> float:
    """The grade without which a measure says nothing about a query; those that only compare grades need 1."""
    if measure.NAME in NEEDS_NO_RELEVANT:
        return -math.inf
    return float(measure["rel"]) if "rel" in measure.SUPPORTED_PARAMS else 1.0


def _library(name: str, relevant_from: float = 1, parts: int = 1) -> Any:
    """ir_measures' object for a name; binary ones with the grade from which a passage is relevant, times `parts`."""
    with installed("Evaluation", "eval"):
        import ir_measures

    try:
        measure = ir_measures.parse_measure(name)
    except (ValueError, NameError, SyntaxError, KeyError, TypeError):
        raise ConfigError(f"unknown metric {name!r}. {meant(name)} See ir-measur.es for more.") from None
    by_user = "rel=" in name.replace(" ", "")
    # What NumRet counts needs no relevance until it is given a grade.
    if "rel" in measure.SUPPORTED_PARAMS and (by_user or measure != ir_measures.NumRet):
        lowest = round((measure["rel"] if by_user else relevant_from) * parts)
        measure = measure(rel=lowest) if lowest != measure["rel"] else measure
    _computable(name, measure, ir_measures.DefaultPipeline)
    return measure


def _computable(name: str, measure: Any, pipeline: Any) -> None:
    """Raise `ConfigError` for what ir_measures can read but not compute: it would fail late, or take Python with it."""
    takes = ", ".join(measure.SUPPORTED_PARAMS) or "none"
    if "cutoff" in measure.SUPPORTED_PARAMS and "cutoff" not in measure.params and not _valid(measure):
        raise ConfigError(f"metric {name!r} needs a cut-off, such as {name}@10")
    if not _valid(measure):
        raise ConfigError(
            f"metric {name!r} has a parameter that is missing or wrong (it takes: {takes}); they are written as in "
            "P(rel=2)@10"
        )
    for parameter in ("cutoff", "rel"):
        if measure.params.get(parameter, 1) < 1:
            raise ConfigError(f"metric {name!r}: {parameter} must be at least 1, got {measure.params[parameter]}")
    if not pipeline.supports(measure):
        raise ConfigError(
            f"metric {name!r} cannot be computed here: ir_measures knows it, but nothing installed computes it so"
        )


def _valid(measure: Any) -> bool:
    try:
        measure.validate_params()
    except AssertionError:
        return False
    return True


def oracle(ranking: Ranking, dataset: Dataset, query: str) -> Ranking:
    """The kept candidates by their grades, best first: the best that reranking can do. Without scores, since those
    there are belong to another order."""
    grades = dataset.qrels.get(query, {})
    order = sorted(range(len(ranking)), key=lambda index: -grades.get(str(ranking.kept[index].candidate.id), 0))
    return ranking.ordered(order, ORDINAL)


def shuffled_values(
    names: Sequence[str], dataset: Dataset, rankings: Mapping[str, Ranking], *, seed: int = 0, repeats: int = 10
) -> Values:
    """Values of random orders, averaged over `repeats` of them."""
    chosen = random.Random(seed)
    drawn = []
    for _ in range(repeats):
        mixed = {query: r.ordered(chosen.sample(range(len(r)), len(r)), ORDINAL) for query, r in rankings.items()}
        drawn.append(values(names, dataset, mixed))
    return {
        query: {name: fmean(values[query][name] for values in drawn) for name in drawn[0][query]} for query in rankings
    }
